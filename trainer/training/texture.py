"""`dfd texture`: give a model the check texture, fitted to windows of real-world clips."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.progress import Progress

from dfd_core.checks.appearance import network_input
from dfd_core.checks.texture import Texture
from dfd_core.checks.views import NAMES, Look, looks
from dfd_core.console import PlainConsole
from dfd_core.flags import count, whole
from dfd_core.models.litert import LiteRuntime
from dfd_core.models.store import read_card, write_card
from dfd_core.settings import Settings, WindowSettings
from dfd_core.types import Float32Array, UInt8Array
from trainer.data.face_pool import TRAIN, FacePool, pool_of
from trainer.fakes.light import relit
from trainer.networks.weights import copy_model
from trainer.training.folds import Row, folds_of, run_folds, score_files
from trainer.training.provenance import current_commit, data_statement, fingerprint

if TYPE_CHECKING:
    from trainer.networks.texture import Head

EXAMPLES = """examples:
  dfd texture models/mine --data windows.h5 --data portraits.h5 --folds 3 --out runs/texture   # how good, on others?
  dfd texture models/mine --data windows.h5 --data portraits.h5 --out models/more
  dfd texture models/mine --data windows.h5 --data portraits.h5 --second filmed.h5 --out models/more
  dfd fuse models/more --windows windows.h5 --folds runs/texture --out models/fused            # its weight

Nothing of the network is trained but one linear layer, in closed form: minutes. With --folds a model folder is written
for each fold, with the check of the others, and report.json, with the texture alone on methods, pages and people that
it has not seen. A kind of fakes that real-world clips do not show, as portraits of a generator that are filmed ('dfd
data film'), and real faces of the same making, are a data set of their own: --second learns a second voice from it,
which accuses by itself and takes nothing from the first."""

Nuisance = tuple[Float32Array, Float32Array]  # statistics before and after a change that says nothing
_TOGETHER = 32  # faces go through the network together
_SEGMENT = WindowSettings().stride  # frames that serving looks at together
_SCALES = (0.1, 2.0), (0.03, 4.0)  # of each voice: real faces above even odds, and the deviation of their logits
_RELIT, _RELIT_SEED = 700, 1  # faces whose statistics in other colours are measured


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("model", type=Path, help="model folder of dfd export")
    parser.add_argument(
        "--data", type=Path, required=True, action="append", help="data set; as often as there are some"
    )
    parser.add_argument(
        "--second", type=Path, action="append", default=[], metavar="DATA", help="data set of the second voice's own"
    )
    parser.add_argument("--folds", type=count, metavar="K", help="fit K times, each time judged by what was left out")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write; with --folds, one with K in it")
    parser.add_argument("--seed", type=whole, default=1, help="of the folds")
    parser.add_argument("--threads", type=count, default=os.cpu_count() or 1, help="of the arithmetic on a CPU")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Measure the statistics of all faces, and fit."""
    paths = [*args.data, *args.second]
    card, pool, first = read_card(args.model), pool_of(paths), len(pool_of(args.data))
    statistics, nuisances = _measured(pool, card.input.size, args.threads)

    def fit(faces: FacePool, out: Path) -> Callable[[FacePool, Sequence[int]], list[Row]]:
        from trainer.networks.texture import write_texture
        from trainer.training.discriminant import joined_logits

        trained = faces.only(faces.splits == TRAIN)
        voices = _voices(trained, trained.numbers < first, statistics, nuisances)
        copy_model(args.model, out)
        write_texture(out, card.input.size, voices)
        facts = {"faces": len(trained), "fingerprint": fingerprint(paths), "sources": data_statement(paths)}
        before = card.data.get("network", card.data) if isinstance(card.data, dict) else card.data
        data = {"network": before, Texture.name: {**facts, "commit": current_commit()}}
        write_card(out, replace(read_card(out), data=data, views=NAMES))
        return lambda pool, chosen: score_files(
            pool, chosen, lambda indices: joined_logits(voices, statistics[pool.numbers[indices]])
        )

    if args.folds:
        run_folds(pool, folds_of(pool, args.folds, args.seed), args.out, args.seed, train=fit, report=print)
        print(f"Done: see {args.out / 'report.json'}. Next: dfd fuse --folds {args.out}")
        return 0
    fit(pool, args.out)
    print(f"{args.out}: texture of {len(pool)} faces. Next: dfd fuse {args.out}, which gives it its weight")
    return 0


def _voices(
    trained: FacePool, first: np.ndarray, statistics: Float32Array, nuisances: Sequence[Nuisance]
) -> list[list[Head]]:
    """The voice of the faces that are `first`, bool (N,), and that of the others, where there are some.

    Where there are two, both are set against the real faces that the first one knows: real-world ones, if it does.
    """
    from trainer.training.discriminant import fit_head, raised

    def voice(faces: FacePool) -> list[Head]:
        return [fit_head(statistics[faces.numbers, n], faces, nuisances[n]) for n in range(len(NAMES))]

    if first.all():
        return [voice(trained)]
    real = first & ~trained.fake
    wild = real & (trained.families != "")
    known = statistics[trained.numbers[wild if wild.any() else real]]
    heads = voice(trained.only(first)), voice(trained.only(~first))
    return [raised(own, known, *scale) for own, scale in zip(heads, _SCALES, strict=True)]


def _measured(pool: FacePool, size: int, threads: int) -> tuple[Float32Array, list[Nuisance]]:
    """Of each face the means of its statistics in each view, float32 (N, K, D), and the nuisance of each view.

    NaN where a face has no such view: a picture has none over time.
    """
    from trainer.networks.texture import statistics_runtime

    network = statistics_runtime(size, threads)
    found = []
    with Progress(console=PlainConsole(stderr=True), disable=not sys.stderr.isatty()) as bar:
        for start in bar.track(range(0, len(pool), _TOGETHER), description="statistics"):
            faces = [pool.pictures.crops(int(n)) for n in pool.numbers[start : start + _TOGETHER]]
            seen = [[look for segment in _segments(crops) for look in _all_looks(segment)] for crops in faces]
            measured = iter(_of([look.image for own in seen for look in own], network, size))
            for own in seen:
                views, given = np.array([look.view for look in own]), np.stack([next(measured) for _ in own])
                known = [given[views == view] for view in range(len(NAMES))]
                found.append([of.mean(axis=0) if len(of) else np.full(given.shape[1], np.nan) for of in known])
    return np.array(found, np.float32), _nuisances(pool.only(pool.splits == TRAIN), network, size)


def _segments(crops: UInt8Array) -> list[UInt8Array]:
    """Crops of a window, (T, S, S, 3), as they come in serving."""
    return [crops[first : first + _SEGMENT] for first in range(0, len(crops), _SEGMENT)]


def _all_looks(segment: UInt8Array) -> list[Look]:
    return list(looks(segment, np.ones(len(segment), np.bool_)))


def _nuisances(pool: FacePool, network: LiteRuntime, size: int) -> list[Nuisance]:
    """For each view statistics (M, D) of some faces, and of the same ones in other colours."""
    rng, pairs = np.random.default_rng(_RELIT_SEED), list[tuple[Look, Look]]()
    for number in pool.numbers[rng.permutation(len(pool))[:_RELIT]]:
        segment, seed = _segments(pool.pictures.crops(int(number)))[0], int(rng.integers(2**31))
        lit = np.stack([relit(crop, np.random.default_rng(seed)) for crop in segment])
        of = {look.view: look for look in _all_looks(lit)}
        pairs += [(look, of[look.view]) for look in {look.view: look for look in _all_looks(segment)}.values()]
    before, after = (_of([pair[side].image for pair in pairs], network, size) for side in (0, 1))
    views = np.array([look.view for look, _ in pairs])
    return [(before[views == view], after[views == view]) for view in range(len(NAMES))]


def _of(images: Sequence[UInt8Array], network: LiteRuntime, size: int) -> Float32Array:
    """Statistics (N, D) of N pictures."""
    found = []
    for first in range(0, len(images), _TOGETHER):
        few = np.stack([network_input(image, size) for image in images[first : first + _TOGETHER]])
        found += list(network.run(few).values())
    return np.concatenate(found)
