"""Windows of many files, cut by processes side by side; each file's are kept apart until the data set is written.

That is what a killed build goes on from.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import as_completed
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dfd_core.errors import DataError, DfdError
from dfd_core.settings import Settings
from trainer.data.dataset import FaceWindow
from trainer.data.extract import Extraction, Extractor
from trainer.data.layouts import LabelledFile
from trainer.data.storage import disk_errors
from trainer.processes import processes


class Parts:
    """The folder beside `out` where windows wait; another one for each way to cut, so that nothing is mixed."""

    def __init__(self, out: Path, settings: Settings, plan: Extraction) -> None:
        cut = json.dumps([asdict(settings.video), asdict(settings.faces), asdict(plan)], sort_keys=True)
        self.folder = out.with_name(f".{out.name}.{hashlib.sha256(cut.encode()).hexdigest()[:12]}.parts")
        self._settings, self._plan = settings, plan
        Extractor(settings, plan)  # what cannot work fails here, before any process is started

    def cut(self, files: list[LabelledFile], jobs: int, console: Console) -> list[tuple[str, str]]:
        """Cut the files that are not there yet; those that failed, with the reason."""
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        todo = [file for file in files if not self._part(file).is_file()]
        columns = (TextColumn("cutting faces"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        failed: list[tuple[str, str]] = []
        with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("", total=len(files), completed=len(files) - len(todo))
            for file, reason in self._cut(todo, jobs):
                failed += [(str(file.path), reason)] if reason else []
                bar.advance(task)
        return sorted(failed)

    def windows(self, file: LabelledFile) -> list[FaceWindow]:
        """What was cut out of a file; empty where it failed."""
        part = self._part(file)
        return load_windows(part) if part.is_file() else []

    def remove(self) -> None:
        """Delete the folder, once the data set is written."""
        shutil.rmtree(self.folder)

    def _part(self, file: LabelledFile) -> Path:
        taken = os.fsencode(f"{file.path.resolve()} {file.region} {[crop.path.name for crop in file.crops]}")
        return self.folder / f"{hashlib.sha256(taken).hexdigest()[:24]}.npz"

    def _cut(self, files: list[LabelledFile], jobs: int) -> Iterator[tuple[LabelledFile, str]]:
        with processes(jobs, Extractor, self._settings, self._plan) as pool:
            waiting = {pool.submit(_cut_file, file, self._part(file)): file for file in files}
            for done in as_completed(waiting):
                yield waiting[done], done.result()


def _cut_file(extractor: Extractor, file: LabelledFile, part: Path) -> str:
    """Nothing, or why the file gave no windows."""
    try:
        windows = extractor.windows_of(file)
    except DfdError as error:
        return str(error)
    with disk_errors(part.parent):
        save_windows(part, windows)
    return ""


def save_windows(path: Path, windows: list[FaceWindow]) -> None:
    """Keep the windows of one file in `path` (.npz), whole or not at all."""
    arrays: dict[str, Any] = {f"{n}.{f.name}": getattr(w, f.name) for n, w in enumerate(windows) for f in fields(w)}
    part = path.with_suffix(".part")
    with part.open("wb") as handle:
        np.savez(handle, **arrays)
    os.replace(part, path)


def load_windows(path: Path) -> list[FaceWindow]:
    """What `save_windows` kept; DataError where the file is damaged."""
    try:
        with np.load(path) as stored:
            count = len({name.split(".", maxsplit=1)[0] for name in stored.files})
            return [
                FaceWindow(**{f.name: _value(stored[f"{n}.{f.name}"]) for f in fields(FaceWindow)})
                for n in range(count)
            ]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        raise DataError(f"{path} is damaged: delete it and run the same command again.") from None


def _value(array: np.ndarray[Any, Any]) -> Any:
    return float(array) if array.ndim == 0 else array
