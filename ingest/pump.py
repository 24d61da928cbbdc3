"""Moves one source's frames through faces and segments to the publisher, and knows how the source is doing.

The policy follows the source: a file's pump waits wherever the publisher waits, so that nothing is lost; a live one
never waits, because source and publisher both drop their oldest and count it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence

from dfd_core.conditions import Condition, ConditionMachine
from dfd_core.errors import RefusedError, VideoError
from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.windows import SegmentBuilder, WindowSlider
from dfd_core.judging.calm import Pace
from dfd_core.media.repeats import Repeats
from dfd_core.settings import Settings
from dfd_core.types import Frame, Segment, StreamState, StreamStatus, UInt8Array
from ingest.outbox import Outbox
from ingest.publisher import Publisher
from ingest.sources import Source

FPS_OVER_S = 5.0


class PumpStopped(Exception):
    """Raised by a signal handler while the pump waits for a frame."""


class Pump:
    """One run of one source. `fetching` tells whether PumpStopped may be raised in its thread just now."""

    def __init__(
        self,
        source: Source,
        publisher: Publisher | Outbox,
        settings: Settings,
        stop: threading.Event,
    ) -> None:
        self._source, self._publisher, self._stop = source, publisher, stop
        self._stride = settings.windows.stride
        finder = FaceFinder(settings.faces)
        self._builder = SegmentBuilder(source.name, finder, settings.faces, settings.windows)
        self._slider = WindowSlider(settings.windows)
        self._recent: deque[float] = deque()  # monotonic times of the last frames
        self._conditions = ConditionMachine()
        self._repeats = Repeats() if source.live else None  # a file may show what it likes
        adapts = source.live and settings.adaptive.gap_s > 0
        self._pace = Pace(settings.adaptive.gap_s) if adapts else None
        self._frames = 0
        self._last_frame_at_s: float | None = None
        self._ended = False
        self._error: str | None = None
        self.fetching = False
        self.image: UInt8Array | None = None  # of the last frame, until somebody takes it

    def run(self) -> None:
        """Until the source ends or `stop` is set; raises VideoError and QueueError. Call `finish` in any case."""
        frames = self._source.frames()
        failure: VideoError | None = None
        try:
            while (frame := self._next(frames)) is not None:
                self._count(frame)
                self._publish(self._builder.push(frame))
        except VideoError as error:
            failure = error
        finally:
            close = getattr(frames, "close", None)
            if close is not None:
                close()
        self._publish(self._builder.flush())  # what came before a failure counts
        if failure is not None:
            raise failure

    def finish(self, error: str | None) -> None:
        """Tell the monitor that nothing follows, and why if it should not have ended; raises as `Publisher.end`."""
        self._ended, self._error = True, error
        self._conditions.ended(failed=error is not None)
        self._publisher.end(error or ("stopped" if self._stop.is_set() else None))

    @property
    def resting(self) -> bool:
        """Whether the source waits on purpose before it opens a lost stream again."""
        return self._source.resting

    def status(self) -> StreamStatus:
        """How the source is doing now; may be called from another thread."""
        source, publisher = self._source, self._publisher
        windows = {reason: count * self._stride for reason, count in publisher.dropped.copy().items()}
        condition = self._look()
        return StreamStatus(
            stream=source.name,
            run=publisher.run,
            state=self._state(),
            live=source.live,
            source=source.description,
            heartbeat_at_s=publisher.clock.now_s(),
            last_frame_at_s=self._last_frame_at_s,
            fps=self._fps(),
            frames=self._frames,
            last_seq=publisher.last_seq,
            dropped=({"slow": source.dropped} if source.dropped else {}) | windows,
            reconnects=source.reconnects,
            error=self._error or (str(source.trouble) if source.trouble else None),
            clock_drift_s=round(source.clock_drift_s, 3),
            condition=condition,
            since_at_s=self._conditions.since_at_s,
            calm=self._pace is not None and self._pace.calm,
        )

    def _look(self) -> Condition:
        """The condition now. What waits on purpose does not stall: a file for room, a folder for files."""
        if self._publisher.waiting or self._idle:
            self._conditions.waits(time.monotonic())
        trouble = self._source.trouble
        refused = isinstance(trouble, RefusedError)
        return self._conditions.look(time.monotonic(), self._publisher.clock.now_s(), trouble is not None, refused)

    @property
    def _idle(self) -> bool:
        return self._source.resting and self._source.trouble is None

    def _next(self, frames: Iterator[Frame]) -> Frame | None:
        if self._stop.is_set():
            return None
        try:
            self.fetching = True
            return next(frames, None)
        except PumpStopped:
            return None
        finally:
            self.fetching = False

    def _count(self, frame: Frame) -> None:
        self._frames += 1
        self.image = frame.image
        self._last_frame_at_s = self._publisher.clock.of(frame.captured_at_s)
        self._recent.append(time.monotonic())
        wrong = self._repeats.see(frame.image, frame.time_s) if self._repeats else None
        self._conditions.frame(self._recent[-1], wrong)
        while self._recent[0] < self._recent[-1] - FPS_OVER_S:
            self._recent.popleft()

    def _publish(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            if segment.tracks:
                self._conditions.face(time.monotonic())
            if self._leaves_out(segment):
                self._publisher.leave_out(self._slider.leave_out(segment))
            else:
                self._publisher.publish(self._slider.push(segment))

    def _leaves_out(self, segment: Segment) -> bool:
        """Whether the stream is calm, and this segment need not be scored."""
        if self._pace is None:
            return False
        judged = bool(segment.tracks) and self._look() is Condition.LIVE
        note = self._publisher.calm_note() if judged else None
        leaves_out = self._pace.leaves_out(segment, note)
        self._builder.rest(self._pace.rests)
        return leaves_out

    def _state(self) -> StreamState:
        if self._ended:
            return StreamState.ENDED
        if self._frames == 0 and not self._idle:
            return StreamState.CONNECTING
        return StreamState.LOST if self._source.trouble else StreamState.LIVE

    def _fps(self) -> float:
        times = list(self._recent)
        now = time.monotonic()
        recent = [t for t in times if t >= now - FPS_OVER_S]
        if len(recent) < 2:
            return 0.0
        return round(len(recent) / min(FPS_OVER_S, now - recent[0] + 1e-3), 2)
