"""Does the detector accuse people of one complexion more than others? Clips of a data set, by the tone of the skin.

    python -m trainer.studies.skin_tone --windows windows.h5 [--folds runs/texture] [--jobs 2] [--set model.path=MODEL]

A clip's tone is the individual typology angle of cheeks and forehead as the picture shows them (Chardon et al., 1991:
arctan((L* - 50) / b*), degrees; above 41 light, from 28 intermediate, from 10 tan, below it brown and dark), median of
its windows. Lamp and camera move it, so that it tells how people look on video, not who they are. Windows are scored as
`dfd fuse` does: by the network of the fold that did not see them, fused by the model's card.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from sklearn.metrics import roc_auc_score

from dfd_core.environment import load_settings, parse_assignments
from dfd_core.judging.fusion import Fusion
from dfd_core.models.runtime import load_model
from dfd_core.types import Float64Array
from trainer.data.dataset import Dataset, FaceWindow
from trainer.fakes.clips import AUTHENTIC
from trainer.measuring.evidence import Row
from trainer.measuring.held_out import held_out_rows

GROUPS = {"light, above 41": 41.0, "intermediate, 28 to 41": 28.0, "tan, 10 to 28": 10.0, "brown and dark": -91.0}
_SKIN = (50, 280, 151)  # points of the face mesh: both cheeks, the forehead
_REACH = 0.03  # of the crop's side, around each


def main(words: Sequence[str] | None = None) -> None:
    """Score the clips and print a row a group."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=Path, required=True, metavar="DATASET.h5")
    parser.add_argument("--folds", type=Path, metavar="RUN")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args(words)
    settings = load_settings(flags=parse_assignments(args.set))
    card = load_model(settings.model, settings.worker.threads).card
    fusion, enter = Fusion.from_card(card.fusion), card.thresholds.enter
    tones = tones_of(Dataset(args.windows))
    clips = [
        clip
        for clip in judged(held_out_rows(args.windows, args.folds, settings, args.jobs), fusion)
        if clip[0] in tones
    ]
    print(f"| tone, degrees | real clips | accused at {enter} | their mean | fakes | found | their mean | AUC |")
    print("|---|---|---|---|---|---|---|---|")
    upper = float("inf")
    for name, lower in GROUPS.items():
        print(_line(name, [clip for clip in clips if lower <= tones[clip[0]] < upper], enter))
        upper = lower
    print(_line("all", clips, enter))


def tones_of(data: Dataset) -> dict[int, float]:
    """The tone of each file where a face mesh was found, degrees."""
    found: dict[int, list[float]] = {}
    for row, file in enumerate(data.file_of):
        tone = tone_of(data.window(row))
        if tone is not None:
            found.setdefault(int(file), []).append(tone)
    return {file: float(np.median(tones)) for file, tones in found.items()}


def tone_of(window: FaceWindow) -> float | None:
    """The individual typology angle of a window's first frame with a face mesh, degrees; None without one."""
    meshed = np.flatnonzero((window.present > 0) & np.isfinite(window.mesh).all(axis=(1, 2)))
    if not len(meshed):
        return None
    crop, points = window.crops[meshed[0]], window.mesh[meshed[0]][list(_SKIN), :2].astype(float)
    reach = max(1, round(_REACH * crop.shape[0]))
    patches = [crop[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach] for x, y in points.astype(int)]
    pixels = np.concatenate([patch.reshape(-1, 3) for patch in patches])
    if not len(pixels):
        return None
    lightness, _, yellow = np.median(cv2.cvtColor(np.float32(pixels[None] / 255), cv2.COLOR_RGB2Lab)[0], axis=0)
    return float(np.degrees(np.arctan2(lightness - 50, max(float(yellow), 1e-3))))


def judged(rows: Iterable[Row], fusion: Fusion) -> Iterator[tuple[int, bool, float]]:
    """Each clip that can be scored: its file, whether it is fake, the median probability of its windows."""
    windows: dict[int, tuple[bool, list[float]]] = {}
    for row in rows:
        probability = fusion.probability(row.scores, row.quality)
        if probability is not None:
            windows.setdefault(row.clip, (row.kind != AUTHENTIC, []))[1].append(probability)
    for file, (fake, probabilities) in windows.items():
        yield file, fake, float(np.median(probabilities))


def _line(name: str, clips: list[tuple[int, bool, float]], enter: float) -> str:
    sides: list[Float64Array] = [np.array([p for _, fake, p in clips if fake == side]) for side in (False, True)]
    cells = [cell for side in sides for cell in _cells(side, enter)]
    labels = np.repeat([0, 1], [len(side) for side in sides])
    auc = f"{roc_auc_score(labels, np.concatenate(sides)):.3f}" if all(len(side) for side in sides) else ""
    return f"| {name} | {' | '.join([*cells, auc])} |"


def _cells(probabilities: Float64Array, enter: float) -> list[str]:
    if not len(probabilities):
        return ["0", "", ""]
    return [str(len(probabilities)), f"{(probabilities >= enter).mean():.3f}", f"{probabilities.mean():.3f}"]


if __name__ == "__main__":
    main()
