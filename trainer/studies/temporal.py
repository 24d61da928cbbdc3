"""Does the order of frames tell anything that single frames do not? A head over frames' embeddings, measured.

    python -m trainer.studies.temporal --model MODEL --data restored.h5 --data portraits.h5 [--manifest MANIFEST.csv]

The network of a model folder stays as it is. Of clips (trainer/fakes/clips.py) of training faces, 16 frames each, its
embeddings (the pooled features, on 32 principal axes) and logits, and their differences from frame to frame, go through
temporal convolutions and attention pooling to one logit (after Zheng et al., "Exploring Temporal Coherence for More
General Video Face Forgery Detection", ICCV 2021, in small). Compared are, on clips of held-out faces and on the videos
of a manifest: the median of the frames' logits, as served; the head; both together; and the head with the frames in
random order, which cannot know time. What the head gains over that last one is what time tells.
"""

from __future__ import annotations

import argparse
import csv
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from dfd_core.checks.appearance import network_input
from dfd_core.detector import windows_of
from dfd_core.environment import load_settings
from dfd_core.errors import DfdError
from dfd_core.models.litert import LiteRuntime
from dfd_core.models.store import KERAS_FILE, ModelInput, read_card, verified_file
from dfd_core.settings import Settings
from dfd_core.types import Segment, UInt8Array
from trainer.data.face_pool import TRAIN, VALIDATION, FacePool, pool_of
from trainer.fakes.clips import AUTHENTIC, make_clip
from trainer.fakes.kinds import MANIPULATIONS
from trainer.measuring.fusing import Take, takes_of
from trainer.processes import processes

FRAMES, AXES = 16, 32


@dataclass(frozen=True, slots=True, eq=False)
class Sequence16:
    """A clip's kind, and its frames' logits and embeddings, float32 (FRAMES, 1 + E)."""

    kind: str
    values: np.ndarray


Scorer = Callable[[Sequence[Sequence16]], np.ndarray]
Videos = tuple[list[Sequence16], list[dict[str, str]]]


def main(words: Sequence[str] | None = None) -> None:
    """Film, train the heads, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model folder of dfd export")
    parser.add_argument("--data", type=Path, required=True, action="append")
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--clips", type=int, default=100, help="of each kind, to train on (default: 100)")
    parser.add_argument("--held-out", type=int, help="clips of each kind to test on (default: a quarter, at least 20)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each video (default: 2)")
    args = parser.parse_args(words)
    pool, tested = pool_of(args.data), args.held_out or max(20, args.clips // 4)
    with tempfile.TemporaryDirectory(prefix="dfd-") as folder:
        file, size = _with_embedding(args.model, Path(folder))
        training = _of_clips(file, size, pool.only(pool.splits == TRAIN), args.clips, 1)
        held_out = _of_clips(file, size, pool.only(pool.splits == VALIDATION), tested, 2)
        videos = _of_videos(file, size, args.manifest, args.seconds) if args.manifest else ([], [])
    print(f"{len(training)} clips to train on, {len(held_out)} held out, {len(videos[0])} videos")
    axes = _axes(training)
    rows = {"median of the frames": None, "head": True, "head, frames in random order": False}
    print("| | held-out clips | " + " | ".join(_groups(videos)) + " |")
    scores = {}
    for name, in_order in rows.items():
        score: Scorer = _medians
        if in_order is not None:
            head = _train(_features(training, axes, in_order), _labels(training))
            score = _scorer(head, axes, in_order)
        scores[name] = [score(training), score(held_out), score(videos[0])]
        _print(name, scores[name][1:], held_out, videos)
    both = LogisticRegression().fit(np.stack([scores[n][0] for n in list(rows)[:2]], axis=1), _labels(training))
    pairs = list(zip(*list(scores.values())[:2], strict=True))[1:]
    mixed = [both.decision_function(np.stack(pair, axis=1)) for pair in pairs]
    _print("median and head", mixed, held_out, videos)


def _with_embedding(model: Path, folder: Path) -> tuple[Path, int]:
    """The network as a LiteRT file that gives its embedding too, and its input size."""
    import keras

    from trainer.networks.litert import to_litert

    card = read_card(model)
    network = keras.saving.load_model(verified_file(model, card, KERAS_FILE), compile=False)
    outputs = {"logit": network.output, "embedding": network.get_layer("embedding").output}
    (folder / "both.tflite").write_bytes(to_litert(keras.Model(network.input, outputs)))
    return folder / "both.tflite", card.input.size


_State = tuple[LiteRuntime, int, Settings, FacePool | None]


def _prepare(file: Path, size: int, pool: FacePool | None) -> _State:
    return LiteRuntime(file, ModelInput(size), 1), size, load_settings(), pool


def _of_clips(file: Path, size: int, pool: FacePool, clips: int, seed: int) -> list[Sequence16]:
    takes = takes_of(pool, clips, seed)
    with processes(2, _prepare, file, size, pool) as executor:
        return [found for found in executor.map(_of_take, range(len(takes)), takes) if found is not None]


def _of_take(state: _State, number: int, take: Take) -> Sequence16 | None:
    pool = state[3]
    assert pool is not None
    whole = take.kind not in MANIPULATIONS
    with tempfile.TemporaryDirectory(prefix="dfd-") as folder:
        path, rng = Path(folder) / "clip.mp4", np.random.default_rng([take.seed, number])
        make_clip(pool, AUTHENTIC if whole else take.kind, take.index, path, rng)
        return _of_file(state, take.kind, path, math.inf)


def _of_videos(file: Path, size: int, manifest: Path, seconds: float) -> Videos:
    with manifest.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    paths = [manifest.parent / row["file"] for row in rows]
    kinds = [AUTHENTIC if row["label"] == "real" else "fake" for row in rows]
    with processes(2, _prepare, file, size, None) as executor:
        found = list(executor.map(_of_file, kinds, paths, [seconds] * len(rows)))
    kept = [n for n, sequence in enumerate(found) if sequence is not None]
    return [s for s in found if s is not None], [rows[n] for n in kept]


def _of_file(state: _State, kind: str, path: Path, seconds: float) -> Sequence16 | None:
    """The first 16 frames of the face that is seen in most, the last of them again where it is seen in fewer."""
    runtime, size, settings, _ = state
    segments: dict[int, Segment] = {}
    try:
        for window in windows_of(str(path), "clip", settings, lambda _: None, seconds=seconds, live=False):
            segments |= {segment.seq: segment for segment in window}
    except DfdError:
        return None
    faces: dict[int, list[UInt8Array]] = {}
    for segment in segments.values():
        for track in segment.tracks:
            faces.setdefault(track.id, []).extend(track.crops[track.present])
    crops = max(faces.values(), key=len, default=[])[:FRAMES]
    if len(crops) < FRAMES // 2:
        return None
    given = runtime.run(np.stack([network_input(crop, size) for crop in crops]))
    values = np.concatenate([given["logit"], given["embedding"]], axis=1)
    return Sequence16(kind, np.concatenate([values, np.repeat(values[-1:], FRAMES - len(values), axis=0)]))


def _labels(clips: Sequence[Sequence16]) -> np.ndarray:
    return np.array([clip.kind != AUTHENTIC for clip in clips], np.float32)


def _axes(clips: Sequence[Sequence16]) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and whitened principal axes of embeddings."""
    rows = np.concatenate([clip.values[:, 1:] for clip in clips])
    mean = rows.mean(axis=0)
    _, sizes, axes = np.linalg.svd(rows - mean, full_matrices=False)
    return mean, (axes[:AXES].T / sizes[:AXES] * math.sqrt(len(rows))).astype(np.float32)


def _features(clips: Sequence[Sequence16], axes: tuple[np.ndarray, np.ndarray], in_order: bool) -> np.ndarray:
    """Float32 (N, FRAMES, 2 (1 + AXES)): logits and axes, and their differences from frame to frame."""
    rng, found = np.random.default_rng(1), []
    for clip in clips:
        values = np.concatenate([clip.values[:, :1], (clip.values[:, 1:] - axes[0]) @ axes[1]], axis=1)
        values = values if in_order else values[rng.permutation(FRAMES)]
        found.append(np.concatenate([values, np.diff(values, axis=0, prepend=values[:1])], axis=1))
    return np.stack(found).astype(np.float32) if found else np.zeros((0, FRAMES, 2 + 2 * AXES), np.float32)


def _train(features: np.ndarray, labels: np.ndarray) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    given = keras.Input(features.shape[1:])
    x = layers.Dropout(0.3)(layers.Conv1D(32, 3, padding="same", activation="relu")(given))
    x = layers.Conv1D(32, 3, padding="same", activation="relu")(x)
    weights = layers.Softmax(axis=1)(layers.Dense(1)(x))
    logit = layers.Dense(1)(layers.Dropout(0.3)(layers.Flatten()(layers.Dot(axes=1)([weights, x]))))
    head = keras.Model(given, logit)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    head.compile(optimizer=keras.optimizers.AdamW(1e-3, weight_decay=1e-2), loss=loss)
    head.fit(features, labels, epochs=40, batch_size=32, verbose=0)
    return head


def _scorer(head: Any, axes: tuple[np.ndarray, np.ndarray], in_order: bool) -> Scorer:
    return lambda clips: head.predict(_features(clips, axes, in_order), verbose=0)[:, 0] if clips else np.zeros(0)


def _medians(clips: Sequence[Sequence16]) -> np.ndarray:
    return np.array([np.median(clip.values[:, 0]) for clip in clips])


def _groups(videos: Videos) -> list[str]:
    return [*sorted({row["dataset"] for row in videos[1] if row["label"] == "fake"}), "all"] if videos[1] else []


def _print(name: str, scores: Sequence[np.ndarray], held_out: Sequence[Sequence16], videos: Videos) -> None:
    cells = [roc_auc_score(_labels(held_out), scores[0])]
    for group in _groups(videos):
        of = [n for n, r in enumerate(videos[1]) if r["label"] == "real" or group in ("all", r["dataset"])]
        cells.append(roc_auc_score(_labels([videos[0][n] for n in of]), scores[1][of]))
    print(f"| {name} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
