"""Measures what a random split of frames is worth; docs/leakage.md explains it.

    dfd data build faces/ --layout portraits --real-only --frames 1 --windows 1 --out real.h5
    python -m trainer.studies.leakage --data real.h5 --method us_congress

200 people: 100 in real videos, 100 others in fake ones (self-blended), each with 10 frames and a camera of its own. One
small model is trained and tested twice on the very same frames: split at random, and split by video.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np
from rich.progress import track
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from dfd_core.checks.appearance import network_input
from dfd_core.errors import DataError, DfdError
from dfd_core.faces.blending import self_blend
from dfd_core.types import Float32Array, UInt8Array
from trainer.data.dataset import Dataset
from trainer.fakes.degrade import Degradation, degrade
from trainer.networks.backbones import build_detector

SIZE = 112  # px, of the network's input
TRAIN = 0.8
BY_FRAME, BY_VIDEO = "frames at random", "by video"


@dataclass(frozen=True)
class Collection:
    """N frames of V videos: embeddings float32 (N, F), `video_of` (N,) in 0..V-1, `fake` bool (V,)."""

    embeddings: Float32Array
    video_of: np.ndarray
    fake: np.ndarray


def main(words: Sequence[str] | None = None) -> None:
    """Film everybody, measure both splits, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DATASET.h5", help="of dfd data build --real-only")
    parser.add_argument("--method", help="take files of this source alone, one that shows nobody twice (default: all)")
    parser.add_argument("--videos", type=int, default=100, help="of each class (default: 100)")
    parser.add_argument("--frames", type=int, default=10, help="of each video (default: 10)")
    parser.add_argument("--repeats", type=int, default=5, help="splits that are averaged (default: 5)")
    parser.add_argument("--seed", type=int, default=1, help="of people, videos and splits")
    args = parser.parse_args(words)
    started = time.monotonic()
    try:
        collection = collect(args)
    except DfdError as error:
        sys.exit(f"leakage: {error}")
    by_lot = np.random.default_rng(args.seed).permutation(collection.fake)
    print("| label of a video | split | accuracy | AUC |\n|---|---|---:|---:|")
    for name, fake in (("real or fake", collection.fake), ("drawn by lot", by_lot)):
        for split in (BY_FRAME, BY_VIDEO):
            labelled = Collection(collection.embeddings, collection.video_of, fake)
            figures = np.array([measure(labelled, split, args.seed + n) for n in range(args.repeats)])
            means = [f"{m:.1%} ± {s:.1%}" for m, s in zip(figures.mean(axis=0), figures.std(axis=0), strict=True)]
            print(f"| {name} | {split} | {' | '.join(means)} |", flush=True)
    print(f"{len(collection.video_of)} frames, {time.monotonic() - started:.0f} s, Keras on {keras.backend.backend()}.")


def collect(args: argparse.Namespace) -> Collection:
    """Film everybody, and embed the frames; DataError where there are too few people."""
    data = Dataset(args.data)
    people = people_of(data, args.method)
    if len(people) < 2 * args.videos:
        raise DataError(f"{args.data} has {len(people)} such faces with landmarks: {2 * args.videos} are needed.")
    chosen = np.random.default_rng(args.seed).permutation(people)[: 2 * args.videos]
    fake = np.arange(len(chosen)) >= args.videos
    trunk = embedder()
    embeddings = []
    for number, row in enumerate(track(chosen, "filming")):
        rng = np.random.default_rng([args.seed, number])
        face = data.crops(row)[0]
        if fake[number]:
            face, _ = self_blend(face, data.mesh(row)[0], rng)
        frames = np.stack([network_input(frame, SIZE) for frame in film(face, args.frames, rng)])
        embeddings.append(trunk.predict_on_batch(frames.astype(np.float32)))
    return Collection(np.concatenate(embeddings), np.repeat(np.arange(len(chosen)), args.frames), fake)


def people_of(data: Dataset, method: str | None) -> list[int]:
    """One real window with landmarks of each file."""
    of_file: dict[int, int] = {}
    for row in np.flatnonzero(data.labels == 0).tolist():
        file = int(data.file_of[row])
        if method in (None, data.files[file].method) and file not in of_file and np.isfinite(data.mesh(row)[0]).all():
            of_file[file] = row
    return list(of_file.values())


def film(face: UInt8Array, count: int, rng: np.random.Generator) -> list[UInt8Array]:
    """What one camera takes of a face, uint8 (S, S, 3): `count` frames with small motion and fresh noise.

    Exposure, white balance, noise level, blur and codec are the camera's own: the same in all frames.
    """
    side = face.shape[0]
    curve = (np.arange(256) / 255) ** rng.uniform(0.7, 1.4)
    tones = np.clip(255 * curve[:, None] * rng.uniform(0.85, 1.1, 3), 0, 255).astype(np.uint8)
    noise = rng.uniform(1, 5)
    frames = []
    for _ in range(count):
        move = cv2.getRotationMatrix2D((side / 2, side / 2), 0, rng.uniform(0.98, 1.02))
        move[:, 2] += rng.uniform(-4, 4, 2)
        moved = cv2.warpAffine(face, move, (side, side), borderMode=cv2.BORDER_REPLICATE)
        noisy = cv2.LUT(moved, tones[None]) + rng.normal(0, noise, face.shape)
        frames.append(np.clip(noisy, 0, 255).astype(np.uint8))
    return degrade(frames, Degradation(), rng)


def embedder() -> keras.Model:
    """EfficientNet-Lite0 with its ImageNet weights: float32 (B, 112, 112, 3) RGB in 0..255 to (B, 1280)."""
    detector = build_detector(size=SIZE, pretrained=True)
    return keras.Model(detector.input, detector.get_layer("embedding").output)


def measure(collection: Collection, split: str, seed: int) -> tuple[float, float]:
    """Accuracy and AUC on the held-out frames; `split` says whether frames or whole videos are held out."""
    trains = train_frames(collection, split, np.random.default_rng(seed))
    labels = collection.fake[collection.video_of]
    model = head().fit(collection.embeddings[trains], labels[trains])
    held_out, truth = collection.embeddings[~trains], labels[~trains]
    scores = model.predict_proba(held_out)[:, 1]
    return float(((scores > 0.5) == truth).mean()), float(roc_auc_score(truth, scores))


def train_frames(collection: Collection, split: str, rng: np.random.Generator) -> np.ndarray:
    """Bool (N,): four fifths of the frames, or all frames of four fifths of each class of videos."""
    if split == BY_FRAME:
        return rng.permutation(len(collection.video_of)) < TRAIN * len(collection.video_of)
    chosen: list[int] = []
    for fake in (False, True):
        videos = rng.permutation(np.flatnonzero(collection.fake == fake))
        chosen += videos[: round(TRAIN * len(videos))].tolist()
    return np.isin(collection.video_of, chosen)


def head() -> Pipeline:
    """One dense unit, trained to its optimum: nothing but the split can make a difference."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


if __name__ == "__main__":
    main()
