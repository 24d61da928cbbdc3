"""Scores waiting windows in one go and settles each exactly once: the work inside the RQ jobs, without RQ."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from redis import Redis

from dfd_core.errors import WireError
from dfd_core.judging.fusion import STALE
from dfd_core.queue import arrays, records
from dfd_core.queue.broker import settle
from dfd_core.queue.clock import RedisClock
from dfd_core.queue.records import WindowHeader
from dfd_core.settings import QueueSettings
from dfd_core.types import Outcome, Segment, SegmentFeatures, Thresholds, WindowEvent, WindowResult
from workers.windows.loading import LoadedWindow, Piece, load_windows
from workers.windows.metrics import WorkerMetrics
from workers.windows.patience import Patience

log = logging.getLogger(__name__)

Scored = tuple[WindowResult, SegmentFeatures]


class WindowScorer(Protocol):
    """What a batch needs of `dfd_core.judging.scoring.Scorer`."""

    @property
    def model_name(self) -> str:
        """Name and version of the model."""
        ...

    @property
    def thresholds(self) -> Thresholds:
        """What the model card recommends."""
        ...

    def score(self, items: Sequence[Sequence[Piece]]) -> list[Scored]:
        """One result and the newest segment's features for each item of segments, oldest first."""
        ...


class BatchScorer:
    """Scores the windows of any streams that it is given headers of."""

    def __init__(self, redis: Redis, scorer: WindowScorer, settings: QueueSettings, metrics: WorkerMetrics) -> None:
        self._redis, self._scorer, self._settings, self._metrics = redis, scorer, settings, metrics
        self._patience, self._clock = Patience(settings.stale_s, settings.late_s), RedisClock(redis)

    def run(self, headers: Sequence[WindowHeader]) -> list[Exception | None]:
        """Score and settle; for each header None, or what its scoring raised: that window waits on."""
        self._metrics.batch_windows.observe(len(headers))
        windows = load_windows(self._redis, headers)
        lost = self._lost(windows)
        settled = [(w.header, result, b"") for w, result in lost if w.waits and result is not None]
        scorable = [w for w, result in lost if w.waits and result is None]
        errors: dict[WindowHeader, Exception] = {}
        for window, scored in zip(scorable, self._score(scorable), strict=True):
            if isinstance(scored, Exception):
                errors[window.header] = scored
            else:
                settled.append((window.header, *_writable(window.header, scored)))
        self._settle(settled)
        return [errors.get(header) for header in headers]

    def _lost(self, windows: Sequence[LoadedWindow]) -> list[tuple[LoadedWindow, WindowResult | None]]:
        """Each with the result that it has without being scored, None where it can be."""
        self._clock.look()
        now_s = self._clock.now_s()
        live = [now_s - window.header.captured_at_s for window in windows if window.waits and window.header.live]
        stale_s = self._patience.limit_s(max(live, default=0.0), now_s)
        return [(window, _lost(window, now_s - window.header.captured_at_s, stale_s)) for window in windows]

    def _score(self, windows: Sequence[LoadedWindow]) -> list[Scored | Exception]:
        """All in one call; where that raises, one by one, so that only the bad ones fail."""
        if not windows:
            return []
        pixels = {id(p): p for w in windows for p in w.pieces if isinstance(p, Segment)}
        self._metrics.crops.inc(sum(int(t.present.sum()) for p in pixels.values() for t in p.tracks))
        with self._metrics.scoring_seconds.time():
            together = _attempt(partial(self._score_now, windows))
            if not isinstance(together, Exception):
                return list(together)
            self._metrics.retries.inc()
            if len(windows) == 1:
                return [together]
            return [_first(_attempt(partial(self._score_now, [w]))) for w in windows]

    def _score_now(self, windows: Sequence[LoadedWindow]) -> list[Scored]:
        return self._scorer.score([w.pieces for w in windows])

    def _settle(self, settled: Sequence[tuple[WindowHeader, WindowResult, bytes]]) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            for header, result, features in settled:
                ttl = self._settings.payload_ttl_s if header.live else self._settings.file_ttl_s
                settle(pipe, header.pending, WindowEvent(header.run, result), features, ttl)
            replies = pipe.execute()
        for (_, result, _), first in zip(settled, replies, strict=True):
            if first:
                self._metrics.windows.labels(result.outcome).inc()


def _writable(header: WindowHeader, scored: Scored) -> tuple[WindowResult, bytes]:
    """Result and features as bytes; a result that cannot be written, of pixels that are none, is a failure."""
    result, features = scored
    try:
        records.event_fields(WindowEvent(header.run, result))
    except WireError as error:
        return empty_result(header, Outcome.FAILED, str(error)), b""
    return result, arrays.pack_features(features)


def _attempt(score: Callable[[], list[Scored]]) -> list[Scored] | Exception:
    try:
        return score()
    except MemoryError:  # no window's fault: the process ends, and a fresh one scores what it had in hand
        log.error("No memory is left: this worker ends, and another one takes its place.")
        raise
    except Exception as error:  # noqa: BLE001  one bad window must not take its batch down; RQ records the error
        log.warning("Scoring raised %s: %s", type(error).__name__, error)
        return error


def _first(scored: list[Scored] | Exception) -> Scored | Exception:
    return scored if isinstance(scored, Exception) else scored[0]


def _lost(window: LoadedWindow, waited_s: float, stale_s: float) -> WindowResult | None:
    """The result of a window that cannot be scored any more; None for one that can.

    A stale one is not measured: where too much comes, that time is for others. One that is measured is told, however
    long that takes, for else a slow worker would tell of none.
    """
    if window.error is not None:
        return empty_result(window.header, Outcome.FAILED, window.error)
    if not window.has_newest:
        return empty_result(window.header, Outcome.EXPIRED, f"no worker came within {waited_s:.0f} s")
    if window.header.live and waited_s > stale_s:
        reason = f"{STALE}: its newest frame is older than {stale_s:.0f} s"
        return empty_result(window.header, Outcome.NOT_SCORABLE, reason)
    return None


def empty_result(header: WindowHeader, outcome: Outcome, reason: str) -> WindowResult:
    """A result without scores."""
    return WindowResult(
        header.stream, header.seq, outcome, header.start_s, header.end_s, header.captured_at_s, reason=reason
    )
