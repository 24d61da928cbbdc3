"""Reports as they are shown: in words, in a table, and with the worst frames of a file found fake."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
from rich.table import Table

from dfd_core.console import shown
from dfd_core.errors import VideoError, WireError
from dfd_core.judging.report import Report
from dfd_core.media import read_frames
from dfd_core.names import format_time
from dfd_core.settings import VideoSettings
from dfd_core.types import State

_WORST = 3  # frames of a flagged file that are shown
_APART_S = 1.0
_PICTURE_PX = 360  # longer side of those
_JPEG_QUALITY = 80
_STYLES = {State.FAKE: "bold red", State.SUSPECT: "yellow", State.AUTHENTIC: "green", State.UNKNOWN: "dim"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame at `time_s` of the media, JPEG as base64, and the probability of the window that ends there."""

    time_s: float
    probability: float
    jpeg: str


def parse_pictures(data: object) -> list[Picture]:
    """The pictures whose dictionaries are in `data`; WireError for anything else."""
    try:
        return msgspec.convert(data, list[Picture])
    except msgspec.ValidationError as error:
        raise WireError(f"These are no pictures of this version of dfd ({error}).") from None


def words_of(report: Report) -> str:
    """Verdict, reason and notes, as far as there are any, for those who see the name of the file beside it."""
    notes = f" ({'; '.join(report.notes)})" if report.notes else ""
    return f"{report.verdict}{': ' if report.reason else ''}{report.why}{notes}".replace(report.file, "the file")


def table_of(reports: Iterable[tuple[str, Report]]) -> Table:
    """Each report beside the name of its file."""
    table = Table("file", "verdict", "fake probability", "worst interval", "faces", box=None, pad_edge=False)
    table.columns[0].overflow = "fold"
    for column in table.columns[2:]:
        column.justify = "right"
    for name, report in reports:
        table.add_row(
            shown(name),
            shown(words_of(report), _STYLES[report.state]),
            "-" if report.fake_probability is None else f"{report.fake_probability:.2f}",
            "-" if report.worst is None else f"{format_time(report.worst[0])}-{format_time(report.worst[1])}",
            str(report.faces),
        )
    return table


def pictures_of(
    report: Report, path: Path, settings: VideoSettings, alive: Callable[[], None] = lambda: None
) -> list[Picture]:
    """The worst frames of a file found fake; of any other none."""
    return worst_frames(path, report.timeline, settings, alive) if report.state is State.FAKE else []


def worst_frames(
    path: Path, timeline: Sequence[tuple[float, float]], settings: VideoSettings, alive: Callable[[], None]
) -> list[Picture]:
    """The frames at the ends of the worst windows, at least a second apart."""
    chosen: list[tuple[float, float]] = []
    for time_s, probability in sorted(timeline, key=lambda point: -point[1]):
        if len(chosen) < _WORST and all(abs(time_s - other) >= _APART_S for other, _ in chosen):
            chosen.append((time_s, probability))
    chosen.sort()
    pictures: list[Picture] = []
    try:
        for frame in read_frames(str(path), "evidence", settings, live=False):
            alive()
            if len(pictures) == len(chosen):
                break
            time_s, probability = chosen[len(pictures)]
            if frame.time_s >= time_s - 1e-3:
                pictures.append(Picture(time_s, probability, _jpeg(frame.image)))
    except VideoError:
        pass  # broken further on: it was scored up to there, and so it is shown
    return pictures


def _jpeg(image: Any) -> str:
    scale = min(1.0, _PICTURE_PX / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return base64.b64encode(jpeg.tobytes()).decode()
