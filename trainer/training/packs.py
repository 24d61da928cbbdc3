"""Samples drawn, degraded and encoded beforehand, for a machine with a GPU that is lent for minutes.

    python -m trainer.training.packs pack RECIPE --data clips.h5 --data portraits.h5 --out packs/ [--steps 500]
    # carry packs/ and trainer/training/packed_run.py over, run that, bring its folder back; then
    python -m trainer.training.packs adopt packs/ OUT/ --out runs/mine     # a run that dfd export takes

A pack is one .npz of at most --mib MiB (JPEG, quality 95, without chroma subsampling): what one transfer carries.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import keras
import numpy as np

from dfd_core.console import PlainConsole
from dfd_core.errors import DataError
from dfd_core.flags import count, whole
from dfd_core.models.store import sha256_of
from dfd_core.types import Float32Array, UInt8Array
from trainer.data.face_pool import TRAIN, VALIDATION, pool_of
from trainer.networks.trained import load_network, save
from trainer.networks.weights import BEST, network_file
from trainer.training.packed_run import HELD_OUT, HISTORY, PLAN, START, WEIGHTS
from trainer.training.prefetch import batches
from trainer.training.provenance import current_commit, data_statement, fingerprint, write_run_card
from trainer.training.recipes import changed, recipe_named
from trainer.training.run_log import draw_curves, read_history
from trainer.training.step import Learner
from trainer.training.validation import validation_set

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
_RUN = "run.json"


def main(words: Sequence[str] | None = None) -> None:
    """Pack, or adopt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("recipe")
    packing.add_argument("--data", type=Path, required=True, action="append")
    packing.add_argument("--out", type=Path, required=True)
    packing.add_argument("--start", type=Path, metavar="MODEL")
    packing.add_argument("--change", action="append", default=[], metavar="NAME=VALUE")
    packing.add_argument("--steps", type=int, default=500, help="batches to draw (default: 500)")
    packing.add_argument("--mib", type=float, default=60.0, help="of each pack at most (default: 60)")
    packing.add_argument("--feeders", type=count, default=2)
    packing.add_argument("--seed", type=whole, default=1)
    packing.set_defaults(run=pack)
    adopting = commands.add_parser("adopt")
    adopting.add_argument("packs", type=Path)
    adopting.add_argument("brought", type=Path, help="folder that packed_run.py wrote")
    adopting.add_argument("--out", type=Path, required=True)
    adopting.set_defaults(run=adopt)
    args = parser.parse_args(words)
    try:
        args.run(args)
    except DataError as error:
        parser.error(str(error))


def pack(args: argparse.Namespace) -> None:
    """Draw the batches, and write them with the network to begin with and the plan; DataError as for training."""
    recipe, pool = changed(recipe_named(args.recipe), args.change), pool_of(args.data)
    args.out.mkdir(parents=True, exist_ok=True)
    if any(args.out.glob("pack-*.npz")):
        raise DataError(f"{args.out} holds packs already: take another --out.")
    keras.mixed_precision.set_global_policy("mixed_bfloat16" if recipe.optimisation.mixed_precision else "float32")
    learner = Learner.begin(recipe, args.out, args.seed)
    if args.start is not None:
        learner.take_weights(network_file(args.start))
    save(learner.model, args.out / START)
    training, held_out = (recipe.sampler(pool.only(pool.splits == side)) for side in (TRAIN, VALIDATION))
    write_pack(args.out / HELD_OUT, *validation_set(held_out, recipe.optimisation.steps, args.seed))
    facts = {
        "recipe": asdict(recipe),
        "seed": args.seed,
        "start": None if args.start is None else sha256_of(network_file(args.start)),
        "commit": current_commit(),
        "data": {"faces": len(pool), "fingerprint": fingerprint(args.data), "sources": data_statement(args.data)},
    }
    write_run_card(args.out, facts)
    plan = {name: getattr(recipe.optimisation, name) for name in ("rate", "weight_decay", "label_smoothing", "ema")}
    plan |= {"pairs": recipe.sampling.faces_a_step // 2, "seed": args.seed}
    (args.out / PLAN).write_text(json.dumps(plan) + "\n")
    drawn = batches(training, args.seed, range(args.steps), feeders=args.feeders)
    console = PlainConsole()
    for number, (images, labels) in enumerate(_filled(drawn, args.mib * 2**20)):
        path = args.out / f"pack-{number:03d}.npz"
        _write(path, images, labels)
        console.print(f"{path}: {len(labels)} pictures, {path.stat().st_size / 2**20:.1f} MiB")


def adopt(args: argparse.Namespace) -> None:
    """A run folder of the weights that came back; DataError where they are not those of the packed network."""
    if not (args.brought / WEIGHTS).is_file():
        raise DataError(f"{args.brought} holds no {WEIGHTS}: give the folder that packed_run.py wrote.")
    network = load_network(args.packs / START)
    with np.load(args.brought / WEIGHTS) as kept:
        weights = [kept[f"{n:04d}"] for n in range(len(kept.files))]
    if [weight.shape for weight in weights] != [tuple(weight.shape) for weight in network.weights]:
        raise DataError(f"The weights in {args.brought} are not of the network in {args.packs}.")
    network.set_weights(weights)
    args.out.mkdir(parents=True, exist_ok=True)
    save(network, args.out / BEST)
    for source, name in ((args.packs, _RUN), (args.brought, HISTORY)):
        (args.out / name).write_bytes((source / name).read_bytes())
    draw_curves(args.out)
    best = max(row["validation_auc"] for row in read_history(args.out))
    PlainConsole().print(f"Done: {args.out}, held-out AUC {best}. Next: dfd export {args.out} --out MODEL/")


def write_pack(path: Path, images: UInt8Array, labels: Float32Array) -> None:
    """Images uint8 (N, S, S, 3) RGB and labels float32 (N, 1) as one pack."""
    _write(path, [_encoded(image) for image in images], labels[:, 0].tolist())


def _filled(drawn: Iterator[tuple[UInt8Array, Float32Array]], most: float) -> Iterator[tuple[list[bytes], list[float]]]:
    """Batches, encoded and gathered to packs of at most `most` bytes; a batch is never divided."""
    pictures, labels, size = list[bytes](), list[float](), 0
    for images, truths in drawn:
        encoded = [_encoded(image) for image in images]
        added = sum(map(len, encoded)) + 16 * len(encoded)
        if pictures and size + added > most - 4096:
            yield pictures, labels
            pictures, labels, size = [], [], 0
        pictures, labels, size = pictures + encoded, labels + truths[:, 0].tolist(), size + added
    if pictures:
        yield pictures, labels


def _encoded(image: UInt8Array) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _JPEG)[1].tobytes()


def _write(path: Path, pictures: list[bytes], labels: list[float]) -> None:
    ends = np.cumsum([len(picture) for picture in pictures])
    data = np.frombuffer(b"".join(pictures), np.uint8)
    np.savez(path, data=data, ends=ends.astype(np.int64), labels=np.array(labels, np.float32))


if __name__ == "__main__":
    main()
