"""How well a model tells real footage from the same footage with manipulated faces, all of it encoded alike.

    python -m trainer.studies.real_video --videos FOLDER [--draws 2] [--crf 20 26 32] [--set model.path=MODEL]

Of every video in the folder the face is manipulated in each way that trainer/fakes/kinds knows, a swap being
with the face of another video; those and the untouched frames go through the same H.264 encoder. What differs is
the manipulation alone: collections of fakes found elsewhere mostly differ from their real videos in quality too.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from dfd_core.detector import scan_file
from dfd_core.environment import load_settings, parse_assignments
from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.mesh import FaceMesh
from dfd_core.judging.scoring import load_scorer
from dfd_core.settings import FaceSettings
from dfd_core.types import Float32Array, UInt8Array
from trainer.data.face_pool import Picture
from trainer.fakes.clips import AUTHENTIC, decoded, encode
from trainer.fakes.kinds import IN_CLIPS, MANIPULATIONS

Frames = list[tuple[UInt8Array, Float32Array]]
ALL = "fused"
_KINDS = (AUTHENTIC, *MANIPULATIONS)
LEAST_RATIO = 1.0  # strength of a self-blend


def main(words: Sequence[str] | None = None) -> None:
    """Manipulate, encode and score the videos; print the AUCs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--videos", type=Path, required=True, help="folder of videos of one face each, known to be real"
    )
    parser.add_argument("--draws", type=int, default=2, help="manipulations of each kind of every video (default: 2)")
    parser.add_argument("--crf", type=int, nargs="*", default=[20, 26, 32], help="of H.264 (default: 20 26 32)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args(words)
    settings = load_settings(flags=parse_assignments(args.set))
    scorer = load_scorer(settings, every_check=True)
    videos = [frames for path in sorted(args.videos.rglob("*")) if path.is_file() and (frames := _faces(path))]
    if len(videos) < 2:
        raise SystemExit(f"{args.videos} must hold at least two videos with a face in them.")
    scores: dict[tuple[int, str], list[dict[str, float]]] = {(crf, kind): [] for crf in args.crf for kind in _KINDS}
    with tempfile.TemporaryDirectory(prefix="dfd-") as folder:
        path = Path(folder) / "clip.mp4"
        for kind, images in _made(videos, args.draws):
            for crf in args.crf:
                encode(images, path, crf, "medium")
                report = scan_file(path, settings, scorer)
                if report.median_probability is not None:
                    checks = {name: 0.5 if value is None else value for name, value in report.checks.items()}
                    scores[crf, kind].append({ALL: report.median_probability, **checks})
    print(f"{scorer.model_name}, {len(videos)} videos, {args.draws} manipulations of each kind of every one; AUC")
    for crf in args.crf:
        print(f"CRF {crf}: {_cells({kind: scores[crf, kind] for kind in _KINDS}, ALL)}")
    pooled = {kind: [score for crf in args.crf for score in scores[crf, kind]] for kind in _KINDS}
    print(f"all: {_cells(pooled, ALL)}")
    for check in scorer.checks:
        print(f"all, {check} by itself: {_cells(pooled, check)}")


def _made(videos: list[Frames], draws: int) -> Iterator[tuple[str, list[UInt8Array]]]:
    """Every video untouched, and with each manipulation: kind and frames."""
    for number, frames in enumerate(videos):
        yield AUTHENTIC, [image for image, _ in frames]
        for draw in range(draws):
            rng = np.random.default_rng([number, draw])
            image, points = videos[(number + 1 + draw) % len(videos)][0]
            other = Picture(image, np.concatenate([points.min(axis=0), points.max(axis=0)]), points)
            for kind in IN_CLIPS:
                yield kind.name, [made for made, _ in kind.film(frames, other, rng, LEAST_RATIO)]


def _faces(path: Path) -> Frames:
    """The frames of a video in which a face has landmarks."""
    finder, mesh, found = FaceFinder(FaceSettings()), FaceMesh(), []
    for image in decoded(path):
        for face in finder.find(image)[:1]:
            points = mesh.landmarks(image, face)
            if points is not None:
                found.append((image, points))
    return found


def _cells(scores: dict[str, list[dict[str, float]]], of: str) -> str:
    """AUC of each kind of fake against the untouched videos, by one of the scores."""
    values = {kind: [score[of] for score in found] for kind, found in scores.items()}
    real = values[AUTHENTIC]
    labels = {kind: [0] * len(real) + [1] * len(fakes) for kind, fakes in values.items()}
    aucs = {kind: roc_auc_score(labels[kind], [*real, *values[kind]]) for kind in _KINDS[1:]}
    return ", ".join(f"{kind} {auc:.3f}" for kind, auc in aucs.items())


if __name__ == "__main__":
    main()
