"""Scores one submitted file as `dfd scan` would, and keeps its report: the work inside a bulk job, without RQ."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from redis import Redis

from dfd_core.detector import scan_file
from dfd_core.errors import DfdError, ModelError, QueueError
from dfd_core.judging.report import Report
from dfd_core.judging.scoring import Scorer
from dfd_core.media import probe
from dfd_core.models.store import sha256_of
from dfd_core.queue import keys
from dfd_core.queue.bulk import BulkQueue
from dfd_core.queue.submitted import BulkFile, Progress
from dfd_core.reporting.report import pictures_of
from dfd_core.settings import Settings, VideoSettings
from dfd_core.types import SegmentFeatures, WindowResult

PROGRESS_S = 0.5  # between two looks at Redis: how far, and still wanted?
LIVE_WAIT_S = 10.0  # so long a bulk batch waits for live windows at most: there may be no worker for those
_POLL_S = 0.02


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
        while self._redis.llen(f"rq:queue:{keys.LIVE_QUEUE}") and time.monotonic() < deadline:
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

    def run(self, file: BulkFile) -> Report | None:
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
            with self._opened(file) as path:
                report = scan_file(path, self._settings, self._scorer, self._reporter(file, path))
                pictures = pictures_of(report, path, self._settings.video, self._alive)
                self._book.end(file, report.named(file.path).to_dict(), [asdict(picture) for picture in pictures])
        except Cancelled:
            self._book.end(file, None)
            return None
        return report

    def _reporter(self, file: BulkFile, path: Path) -> Callable[[float], None]:
        """What notes each frame's time, and now and then tells Redis."""
        started_at_s, duration_s, told = time.time(), _duration_s(path, self._settings.video), float("-inf")

        def report(time_s: float) -> None:
            nonlocal told
            self._alive()
            if time.monotonic() - told >= PROGRESS_S:
                told = time.monotonic()
                if not self._book.is_wanted(file):
                    raise Cancelled
                self._book.note_progress(file, Progress(time_s, duration_s, started_at_s, self._name))

        return report

    @contextmanager
    def _opened(self, file: BulkFile) -> Iterator[Path]:
        """Path of the content, at any place that it was submitted from; QueueError where it is at none."""
        found: Path | bytes | None
        try:
            found = self._content(file)
        except QueueError:
            others = (other for other in self._book.files() if other.id == file.id and other != file)
            found = next((content for other in others if (content := self._content_or_none(other))), None)
            if found is None:
                raise
        if isinstance(found, Path):
            yield found
            return
        with tempfile.TemporaryDirectory(prefix="dfd-bulk-") as folder:
            path = Path(folder) / f"upload{Path(file.path).suffix}"
            path.write_bytes(found)
            yield path

    def _content_or_none(self, file: BulkFile) -> Path | bytes | None:
        try:
            return self._content(file)
        except QueueError:
            return None

    def _content(self, file: BulkFile) -> Path | bytes:
        """Where the file is, or what was uploaded, if that is what was submitted; QueueError otherwise."""
        if not file.place:
            content: Any = self._redis.get(keys.upload_key(file.id))
            if content is None:
                raise QueueError(f"The upload of {file.path} has expired: submit it again.")
            return bytes(content)
        path = _below(file, self._settings.bulk.roots)
        if not path.is_file():
            raise QueueError(f"{file.path} is not there for this worker: mount it, name its folder in bulk.roots.")
        if sha256_of(path, self._alive) != file.digest:
            raise QueueError(f"{file.path} has changed since it was submitted: submit it again.")
        return path


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
