"""What the checks say of real-world clips that a network was not trained on: what a fusion is fitted to."""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.progress import Progress

from dfd_core.console import PlainConsole
from dfd_core.errors import DataError
from dfd_core.judging.scoring import Scorer, load_scorer
from dfd_core.models.store import CARD, LITERT_FILE, ModelCard, ModelInput, write_card
from dfd_core.settings import Settings
from dfd_core.types import FaceTrack, Segment
from trainer.data.dataset import Dataset, FaceWindow
from trainer.data.face_pool import TRAIN, VALIDATION
from trainer.fakes.clips import AUTHENTIC
from trainer.measuring.evidence import Row, rows_of
from trainer.measuring.figures import SCORES
from trainer.networks.architecture import Architecture
from trainer.networks.weights import BEST
from trainer.processes import processes


def held_out_rows(path: Path, folds: Path | None, settings: Settings, jobs: int) -> Iterator[Row]:
    """The windows of the data set `path`: validation ones by the model, those that a fold tested by its network.

    DataError where a fold has not been trained to its end, or tested none of the data set's files.
    """
    data = Dataset(path)
    takes = [(settings, data.rows(VALIDATION).tolist())]
    with ExitStack() as stack:
        for fold in _folds_in(folds) if folds is not None else ():
            rows = _rows_tested(data, fold)
            if not rows:
                raise DataError(f"{fold} tested no file of {path}: give the windows of the clips that it trained on.")
            model = fold
            if not (fold / CARD).is_file():
                model = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dfd-")))
                _export(fold, model)
            takes.append((replace(settings, model=replace(settings.model, path=str(model))), rows))
        for own, rows in takes:
            yield from _scored(data, rows, own, jobs)


def segment_of(window: FaceWindow, stream: str) -> Segment:
    """A window as serving would have it: one segment with one face; places in frame px, but for the frame's origin."""
    scale = window.side / window.crops.shape[1]
    absent = window.present == 0
    boxes, landmarks = window.boxes * np.float32(scale), window.landmarks * np.float32(scale)
    boxes[absent], landmarks[absent] = np.nan, np.nan
    seen = np.isfinite(window.times_s)
    track = FaceTrack(0, boxes, landmarks, window.crops, round(window.side), window.quantisers)
    tracks = (_first(track, int(seen.sum())),)
    return Segment(stream=stream, seq=0, times_s=window.times_s[seen], tracks=tracks, follows=False, captured_at_s=0.0)


def _first(track: FaceTrack, frames: int) -> FaceTrack:
    """The track's first frames: a window at the end of a file is shorter than others."""
    cut = {name: getattr(track, name)[:frames] for name in ("boxes", "landmarks", "crops", "quantisers")}
    return replace(track, **cut)


def _folds_in(run: Path) -> list[Path]:
    folds = sorted(path.parent for path in run.glob(f"*/{SCORES}"))
    if not folds or any(not ((fold / BEST).is_file() or (fold / CARD).is_file()) for fold in folds):
        raise DataError(f"{run} holds no folds that ended: run 'dfd train --folds' or 'dfd texture --folds' again.")
    return folds


def _rows_tested(data: Dataset, fold: Path) -> list[int]:
    """Rows of the files that the fold's network was tested on, and not only validated."""
    with (fold / SCORES).open(newline="", encoding="utf-8") as handle:
        tested = {row["file"] for row in csv.DictReader(handle) if row["split"] == TRAIN}
    return [n for n, file in enumerate(data.file_of) if data.files[file].path in tested]


def _export(fold: Path, model: Path) -> None:
    """The fold's network as a model folder."""
    from trainer.networks.litert import to_litert
    from trainer.networks.serving import serving_model

    recipe = json.loads((fold / "run.json").read_text(encoding="utf-8"))["recipe"]
    network = serving_model(fold, False, Architecture.of_run(recipe), ())
    (model / LITERT_FILE).write_bytes(to_litert(network))
    write_card(model, ModelCard(fold.name, "0", input=ModelInput(size=int(network.input_shape[1]))))


def _prepare(settings: Settings, data: Dataset) -> tuple[Scorer, Dataset]:
    return load_scorer(settings, every_check=True), data


def _scored(data: Dataset, rows: Sequence[int], settings: Settings, jobs: int) -> Iterator[Row]:
    """The rows of each file together, so that a file is one clip of the evidence."""
    files: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        files[int(data.file_of[row])].append(row)
    shared = replace(settings, worker=replace(settings.worker, threads=1))
    with (
        processes(jobs, _prepare, shared, data) as pool,
        Progress(console=PlainConsole(stderr=True), disable=not sys.stderr.isatty()) as bar,
    ):
        for scored in bar.track(pool.map(_score, files, files.values()), total=len(files), description="clips"):
            yield from scored


def _score(state: tuple[Scorer, Dataset], file: int, rows: Sequence[int]) -> list[Row]:
    scorer, data = state
    kind = (data.files[file].family or "fake") if data.labels[rows[0]] else AUTHENTIC
    return rows_of(file, kind, [[segment_of(data.window(row), str(file))] for row in rows], scorer)
