"""Scores one submitted file as `dfd scan` would, and keeps its report: the work inside a bulk job, without RQ."""

from __future__ import annotations

import base64
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
from redis import Redis

from dfd_core import wire
from dfd_core.bulk import BulkFile, BulkQueue, Progress
from dfd_core.errors import DfdError, ModelError, QueueError, VideoError
from dfd_core.models.store import sha256_of
from dfd_core.offline import FileReport, scan_file
from dfd_core.scoring import Scorer
from dfd_core.settings import Settings, VideoSettings
from dfd_core.types import SegmentFeatures, State, WindowResult
from dfd_core.video import probe, read_frames

PROGRESS_S = 0.5  # between two looks at Redis: how far, and still wanted?
LIVE_WAIT_S = 10.0  # so long a bulk batch waits for live windows at most: there may be no worker for those
_POLL_S = 0.02
_WORST = 3  # frames of a flagged file that its report shows
_APART_S = 1.0
_PICTURE_PX = 360  # longer side of those
_JPEG_QUALITY = 80


class Cancelled(Exception):
    """The file is not wanted any more."""


class LiveFirst:
    """A scorer that lets live windows go first: it waits as long as any wait for a worker."""

    def __init__(self, scorer: Scorer, redis: Redis) -> None:
        self._scorer, self._redis = scorer, redis

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)

    def score(self, items: Sequence[Any]) -> list[tuple[WindowResult, SegmentFeatures]]:
        """As `Scorer.score`."""
        deadline = time.monotonic() + LIVE_WAIT_S
        while self._redis.llen(f"rq:queue:{wire.LIVE_QUEUE}") and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return self._scorer.score(items)


class BulkRunner:
    """Scores files of the bulk queue; `alive` is called at least at every sampled frame."""

    def __init__(
        self, redis: Redis, scorer: Scorer, settings: Settings, name: str, alive: Callable[[], None] = lambda: None
    ) -> None:
        self._redis, self._settings, self._name, self._alive = redis, settings, name, alive
        self._scorer: Any = LiveFirst(scorer, redis)
        self._book = BulkQueue(redis)

    def run(self, file: BulkFile) -> FileReport | None:
        """The report, now in Redis; None where there is one already, or nobody wants it any more.

        A file that is no video has a report with the reason. QueueError, ModelError or VideoError where it could not be
        looked at at all.
        """
        if self._book.has_report(file) or not self._book.is_wanted(file):
            return None
        if file.model != self._scorer.model_name:
            raise ModelError(
                f"This worker scores with {self._scorer.model_name}, and {file.path} waits for {file.model}: "
                "submit it again with the settings of the workers."
            )
        try:
            with opened(file, self._redis, self._settings.bulk.roots) as path:
                started = time.monotonic()
                report = scan_file(path, self._settings, self._scorer, self._teller(file, path))
                self._book.end(file, self._as_json(file, report, path, time.monotonic() - started))
        except Cancelled:
            self._book.end(file, None)
            return None
        return report

    def _teller(self, file: BulkFile, path: Path) -> Callable[[float], None]:
        """What notes each frame's time, and now and then tells Redis."""
        started_at_s, duration_s, told = time.time(), _duration_s(path, self._settings.video), float("-inf")

        def tell(time_s: float) -> None:
            nonlocal told
            self._alive()
            if time.monotonic() - told >= PROGRESS_S:
                told = time.monotonic()
                if not self._book.is_wanted(file):
                    raise Cancelled
                self._book.note_progress(file, Progress(time_s, duration_s, started_at_s, self._name))

        return tell

    def _as_json(self, file: BulkFile, report: FileReport, path: Path, seconds: float) -> dict[str, Any]:
        pictures = []
        if report.state is State.FAKE:
            pictures = worst_frames(path, report.timeline, self._settings.video, self._alive)
        return {
            **report.as_json(),
            "file": file.path,
            "model": file.model,
            "seconds": round(seconds, 3),
            "scored_at_s": time.time(),
            "thresholds": [self._scorer.thresholds.enter, self._scorer.thresholds.exit],
            "pictures": pictures,
        }


@contextmanager
def opened(file: BulkFile, redis: Redis, roots: str) -> Iterator[Path]:
    """Path of the file's content, which is what was submitted; QueueError otherwise."""
    if file.place:
        path = _below(file, roots)
        if not path.is_file():
            raise QueueError(f"{file.path} is not there for this worker: mount it, name its folder in bulk.roots.")
        if sha256_of(path) != file.digest:
            raise QueueError(f"{file.path} has changed since it was submitted: submit it again.")
        yield path
        return
    content = redis.get(wire.upload_key(file.digest))
    if content is None:
        raise QueueError(f"The upload of {file.path} has expired: submit it again.")
    with tempfile.TemporaryDirectory(prefix="dfd-bulk-") as folder:
        path = Path(folder) / f"upload{Path(file.path).suffix}"
        path.write_bytes(content)
        yield path


def worst_frames(
    path: Path, timeline: Sequence[tuple[float, float]], settings: VideoSettings, alive: Callable[[], None]
) -> list[dict[str, Any]]:
    """The frames at the ends of the worst windows, at least a second apart: time_s, probability, and JPEG as base64."""
    chosen: list[tuple[float, float]] = []
    for time_s, probability in sorted(timeline, key=lambda point: -point[1]):
        if len(chosen) < _WORST and all(abs(time_s - other) >= _APART_S for other, _ in chosen):
            chosen.append((time_s, probability))
    chosen.sort()
    pictures: list[dict[str, Any]] = []
    try:
        for frame in read_frames(str(path), "evidence", settings, live=False):
            alive()
            if len(pictures) == len(chosen):
                break
            time_s, probability = chosen[len(pictures)]
            if frame.time_s >= time_s - 1e-3:
                pictures.append({"time_s": time_s, "probability": probability, "jpeg": _jpeg(frame.image)})
    except VideoError:
        pass  # broken further on: it was scored up to there, and so it is shown
    return pictures


def _jpeg(image: Any) -> str:
    scale = min(1.0, _PICTURE_PX / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    return base64.b64encode(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]).decode()


def _below(file: BulkFile, roots: str) -> Path:
    """Where this worker finds the file: any place without roots, else only below one of them."""
    if not roots:
        return Path(file.place)
    for root in (Path(root).expanduser().resolve() for root in roots.split(os.pathsep)):
        path = (root / file.place).resolve()
        if path.is_relative_to(root) and path.is_file():
            return path
    raise QueueError(f"{file.path} is below none of the worker's bulk.roots: mount it there, or submit with --upload.")


def _duration_s(path: Path, settings: VideoSettings) -> float | None:
    try:
        return probe(str(path), settings).duration_s
    except DfdError:
        return None
