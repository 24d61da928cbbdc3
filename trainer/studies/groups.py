"""Does the detector accuse some people more than others? Clips of a data set, by tone of the skin, sex and age.

    python -m trainer.studies.groups --windows windows.h5 [--folds runs/texture] [--faces DIR] [--jobs 2]

A clip's tone is the individual typology angle of cheeks and forehead as the picture shows them (Chardon et al., 1991:
arctan((L* - 50) / b*), degrees; above 41 light, from 28 intermediate, from 10 tan, below it brown and dark), median of
its windows. Lamp and camera move it, so that it tells how people look on video, not who they are. So do sex and age,
which a small network guesses where --faces names its folder, see `sex_and_age`. Windows are scored as `dfd fuse` does:
by the network of the fold that did not see them, fused by the card of the model (--set model.path=MODEL).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from trainer.studies.sex_and_age import Judge

TONES = {"light, above 41": 41.0, "intermediate, 28 to 41": 28.0, "tan, 10 to 28": 10.0, "brown and dark": -91.0}
SEXES = {"looks female": 0.7, "neither is sure": 0.3, "looks male": 0.0}  # least share of the guess for female
AGES = {"looks 60 and older": 60.0, "45 to 60": 45.0, "30 to 45": 30.0, "younger than 30": -np.inf}
_SKIN = (50, 280, 151)  # points of the face mesh: both cheeks, the forehead
_REACH = 0.03  # of the crop's side, around each

Clip = tuple[int, bool, float]  # its file, whether it is fake, its probability


def main(words: Sequence[str] | None = None) -> None:
    """Score the clips and print a table for each way to group them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=Path, required=True, metavar="DATASET.h5")
    parser.add_argument("--folds", type=Path, metavar="RUN")
    parser.add_argument(
        "--faces", type=Path, metavar="DIR", help="model folder of the npm package @vladmandic/face-api"
    )
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args(words)
    data, measures = Dataset(args.windows), [("tone, degrees", TONES, tone_of)]
    if args.faces:
        judge = Judge(args.faces)
        measures += [("sex", SEXES, judge.female), ("age", AGES, judge.age)]
    settings = load_settings(flags=parse_assignments(args.set))
    card = load_model(settings.model, settings.worker.threads).card
    rows = held_out_rows(args.windows, args.folds, settings, args.jobs)
    clips, enter = list(judged(rows, Fusion.from_card(card.fusion))), card.thresholds.enter
    for name, groups, measure in measures:
        print(f"| {name} | real clips | accused at {enter} | their mean | fakes | found | their mean | AUC |")
        print("|---|---|---|---|---|---|---|---|")
        for line in table(groups, by_file(data, measure), clips, enter):
            print(line)


def table(groups: Mapping[str, float], values: Mapping[int, float], clips: Iterable[Clip], enter: float) -> list[str]:
    """A line for each of `groups`, which hold the files whose value is at least theirs, and one for all of them."""
    upper, lines, known = float("inf"), [], [clip for clip in clips if clip[0] in values]
    for name, lower in groups.items():
        lines.append(_line(name, [clip for clip in known if lower <= values[clip[0]] < upper], enter))
        upper = lower
    return [*lines, _line("all", known, enter)]


def by_file(data: Dataset, measure: Callable[[FaceWindow], float | None]) -> dict[int, float]:
    """The median of what `measure` finds in the windows of each file, where it finds something."""
    found: dict[int, list[float]] = {}
    for row, file in enumerate(data.file_of):
        value = measure(data.window(row))
        if value is not None:
            found.setdefault(int(file), []).append(value)
    return {file: float(np.median(values)) for file, values in found.items()}


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


def judged(rows: Iterable[Row], fusion: Fusion) -> Iterator[Clip]:
    """Each clip that can be scored: its file, whether it is fake, the median probability of its windows."""
    windows: dict[int, tuple[bool, list[float]]] = {}
    for row in rows:
        probability = fusion.probability(row.scores, row.quality)
        if probability is not None:
            windows.setdefault(row.clip, (row.kind != AUTHENTIC, []))[1].append(probability)
    for file, (fake, probabilities) in windows.items():
        yield file, fake, float(np.median(probabilities))


def _line(name: str, clips: Sequence[Clip], enter: float) -> str:
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
