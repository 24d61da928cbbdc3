"""Puts the windows of one stream into Redis, within a bound of bytes: live streams drop the oldest, files wait."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

from redis import Redis
from rq import Callback
from rq.job import Retry

from dfd_core.conditions import CalmNote
from dfd_core.errors import QueueError, WireError
from dfd_core.process.backoff import Backoff
from dfd_core.queue import arrays, keys, records
from dfd_core.queue.broker import REDIS_AWAY, argument_of, delete_job, rq_queue, settle, trouble
from dfd_core.queue.calm import read_calm
from dfd_core.queue.clock import RedisClock
from dfd_core.queue.records import Pending, WindowHeader
from dfd_core.settings import Settings
from dfd_core.types import EndEvent, Outcome, Window, WindowEvent, WindowResult

JOB_TIMEOUT_S = 600  # shown by dashboards; a hanging batch is ended by the supervisor long before
FAILURE_TTL_S = 600
FORGOTTEN_S = 600  # so long after its last pixels have expired, a stream that nobody reads any more leaves no trace
POLL_S = 0.05
LONGEST_PAUSE_S = 5.0
UNTOLD_KEPT = 1000
NO_FACE = "no face"

log = logging.getLogger(__name__)

_Waiting = list[tuple[Pending, float]]  # oldest first, with when it was published, by the clock of Redis


class Publisher:
    """The only writer of one stream's windows; `run` is the random id of this start of it.

    `clock` has the time that all machines share, as of the last window; `dropped` counts windows by reason. `waiting`
    is true while a file waits for room or for Redis; when `stop` is set, it waits no longer and leaves the window out.
    """

    def __init__(self, redis: Redis, stream: str, live: bool, settings: Settings, stop: threading.Event) -> None:
        self._redis, self._settings, self._stop = redis, settings.queue, stop
        self._reach = settings.windows.frames // settings.windows.stride  # segments that a window looks at
        self._bound = settings.queue.live_bytes if live else settings.queue.file_bytes
        self._ttl_s = settings.queue.payload_ttl_s if live else settings.queue.file_ttl_s
        self._queue, self.clock = rq_queue(redis, live), RedisClock(redis)
        self._untold: deque[WindowEvent] = deque(maxlen=UNTOLD_KEPT)  # dropped while Redis was away
        self._counting = threading.Lock()
        self._trimmed = 0
        self.stream, self.run, self.live = stream, uuid4().hex[:8], live
        self.dropped: Counter[str] = Counter()
        self.waiting = False
        self.last_seq = -1

    def publish(self, window: Window) -> None:
        """Store the newest segment and queue the window's job; if that segment has no face, tell so without a job.

        Live: what does not fit, or comes while Redis is away, is dropped and counted. Files: QueueError when there is
        no room, or no Redis, for `queue.full_timeout_s`.
        """
        self.last_seq = window.seq
        if not self.live:
            self._persist(lambda: self._publish(window), self._settings.full_timeout_s)
            return
        try:
            self._publish(window)
        except REDIS_AWAY as error:
            log.warning("Redis %s: a window of %s is dropped.", trouble(error), self.stream)
            self._count_drop(window, "redis", "Redis did not answer")

    def leave_out(self, window: Window) -> None:
        """Tell of a window of a calm stream that nobody scores; while Redis is away, later."""
        self.last_seq = window.seq
        self._untold.append(WindowEvent(self.run, _result(window, Outcome.CALM, "its stream has been calm for long")))
        with suppress(*REDIS_AWAY):
            self._flush_untold()

    def calm_note(self) -> CalmNote | None:
        """What the monitor says of this run; None: it is not calm, or Redis is away."""
        try:
            return read_calm(self._redis, self.stream, self.run)
        except REDIS_AWAY:
            return None

    def miss(self, window: Window) -> None:
        """Count a live window that came while Redis had others to take, and tell so later; from any thread."""
        self._count_drop(window, "redis", "Redis did not answer in time")

    def end(self, reason: str | None) -> None:
        """Tell that nothing follows; `reason` is None where the source ended as it should: only that waits for Redis.

        Raises QueueError where it cannot be told.
        """
        event = records.event_fields(EndEvent(self.stream, self.run, self.last_seq, reason))
        patience_s = 0.0 if reason else self._settings.full_timeout_s
        self._persist(lambda: self._redis.xadd(keys.RESULTS_KEY, event, maxlen=keys.RESULTS_CAP), patience_s)

    def _publish(self, window: Window) -> None:
        self.clock.look()
        *before, newest = window.segments
        newest = replace(newest, captured_at_s=self.clock.of(newest.captured_at_s))  # workers have other clocks
        window, data = Window((*before, newest)), arrays.pack_segment(newest)
        waiting = self._read_waiting()
        if not self.live and not self._wait_until(self._is_ours, waiting):
            return
        self._trim(min([p.seq for p, _ in waiting if p.run == self.run] + [window.seq]))
        if not window.segments[-1].tracks:
            self._report(window, Outcome.NOT_SCORABLE, NO_FACE, data)
        elif self._make_room(waiting, len(data)):
            self._enqueue(window, data)
        elif self.live:
            self._count_drop(window, "queue_full", "the queue was full of newer work in hand")
        self._flush_untold()

    def _enqueue(self, window: Window, data: bytes) -> None:
        header = self._header(window, len(data))
        with self._redis.pipeline() as pipe:
            self._queue.enqueue_call(
                keys.JOB_FUNCTION,
                kwargs={"header": records.header_json(header)},
                job_id=keys.job_id(self.stream, self.run, window.seq),
                description=f"{self.stream} {header.start_s:.1f}-{header.end_s:.1f} s",
                timeout=JOB_TIMEOUT_S,
                ttl=int(self._ttl_s * 2) + 60 if self.live else None,  # outlives the pixels: a worker tells of them
                result_ttl=0,
                failure_ttl=FAILURE_TTL_S,
                retry=Retry(max=keys.RETRIES),
                on_failure=Callback(keys.FAILURE_FUNCTION),
                pipeline=pipe,  # RQ wants it empty
            )
            pipe.set(keys.segment_key(self.stream, self.run, window.seq), data, px=int(self._ttl_s * 1000))
            pipe.zadd(keys.pending_key(self.stream), {header.pending: self.clock.now_s()})
            pipe.expire(keys.pending_key(self.stream), int(self._ttl_s) + FORGOTTEN_S)
            pipe.execute()

    def _header(self, window: Window, size: int) -> WindowHeader:
        return WindowHeader(
            stream=self.stream,
            run=self.run,
            seq=window.seq,
            segments=tuple(segment.seq for segment in window.segments),
            start_s=window.start_s,
            end_s=window.end_s,
            captured_at_s=window.captured_at_s,
            live=self.live,
            size=size,
        )

    def _read_waiting(self) -> _Waiting:
        """The waiting windows of this stream, of earlier runs too; those that have expired are told and gone."""
        entries: list[Any] = self._redis.zrange(keys.pending_key(self.stream), 0, -1, withscores=True)
        oldest = self.clock.now_s() - self._ttl_s
        waiting = [(records.parse_pending(member), since) for member, since in entries]
        for pending, since in waiting:
            if since < oldest and self._cancel(pending, Outcome.EXPIRED, f"no worker came within {self._ttl_s:.0f} s"):
                self.dropped["expired"] += 1
        return [(pending, since) for pending, since in waiting if since >= oldest]

    def _make_room(self, waiting: _Waiting, size: int) -> bool:
        if self.live:
            return self._drop_oldest(waiting, size)
        return self._wait_until(lambda now: self._fits(now, size), waiting)

    def _fits(self, waiting: _Waiting, size: int) -> bool:
        return not waiting or sum(pending.size for pending, _ in waiting) + size <= self._bound

    def _drop_oldest(self, waiting: _Waiting, size: int) -> bool:
        """True once `size` bytes fit; windows that a worker has in hand are not dropped."""
        kept: _Waiting = []
        while waiting and not self._fits(kept + waiting, size):
            (pending, since), *waiting = waiting
            if self._cancel(pending, Outcome.DROPPED, "the queue was full: newer windows matter more"):
                self.dropped["queue_full"] += 1
            else:
                kept.append((pending, since))
        return self._fits(kept + waiting, size)

    def _is_ours(self, waiting: _Waiting) -> bool:
        """Whether no earlier reading of the file waits: the monitor closes a run when it hears of the next."""
        return all(pending.run == self.run for pending, _ in waiting)

    def _wait_until(self, holds: Callable[[_Waiting], bool], waiting: _Waiting) -> bool:
        """True once `holds` of what waits; False if told to stop; QueueError when no window is scored for too long."""
        since, before = time.monotonic(), len(waiting)
        try:
            while not holds(waiting):
                self.waiting = True
                if self._stop.wait(POLL_S):
                    return False
                waiting = self._read_waiting()
                if len(waiting) != before:
                    since, before = time.monotonic(), len(waiting)
                elif time.monotonic() - since > self._settings.full_timeout_s:
                    raise QueueError(
                        f"The queue of {self.stream} has been full for {self._settings.full_timeout_s:.0f} s and no "
                        "window was scored: start workers with `dfd work`."
                    )
        finally:
            self.waiting = False
        return True

    def _cancel(self, pending: Pending, outcome: Outcome, reason: str) -> bool:
        """Take a window out of the queue and tell so; False if a worker has it in hand."""
        job_id = keys.job_id(self.stream, pending.run, pending.seq)
        in_queue = self._redis.lrem(self._queue.key, 1, job_id)
        if not in_queue and outcome is Outcome.DROPPED:
            return False
        job = self._queue.fetch_job(job_id)
        start_s = end_s = captured_at_s = 0.0
        if job is not None:
            with suppress(WireError):  # a foreign job in our place: it goes all the same
                header = records.parse_header(argument_of(job, "header"))
                start_s, end_s, captured_at_s = header.start_s, header.end_s, header.captured_at_s
        result = WindowResult(self.stream, pending.seq, outcome, start_s, end_s, captured_at_s, reason=reason)
        with self._redis.pipeline() as pipe:
            settle(pipe, f"{pending.run}:{pending.seq}:{pending.size}", WindowEvent(pending.run, result))
            settled = pipe.execute()[0]
        if job is not None and in_queue:
            delete_job(job, remove_from_queue=False)
        return bool(settled)

    def _report(self, window: Window, outcome: Outcome, reason: str, data: bytes) -> None:
        """A result without a job; the segment stays a while, because later windows look back on it."""
        fields = records.event_fields(WindowEvent(self.run, _result(window, outcome, reason)))
        with self._redis.pipeline() as pipe:
            pipe.set(keys.segment_key(self.stream, self.run, window.seq), data, px=int(self._ttl_s * 1000))
            pipe.xadd(keys.RESULTS_KEY, fields, maxlen=keys.RESULTS_CAP)
            pipe.execute()

    def _count_drop(self, window: Window, reason: str, sentence: str) -> None:
        with self._counting:
            self.dropped[reason] += 1
            self._untold.append(WindowEvent(self.run, _result(window, Outcome.DROPPED, sentence)))

    def _flush_untold(self) -> None:
        while self._untold:
            self._redis.xadd(keys.RESULTS_KEY, records.event_fields(self._untold[0]), maxlen=keys.RESULTS_CAP)
            self._untold.popleft()

    def _trim(self, oldest_waiting: int) -> None:
        """Delete the segments and features that neither a waiting nor a coming window looks back on."""
        needed = oldest_waiting - self._reach + 1
        seqs = range(self._trimmed, needed)
        if seqs:
            names = [key(self.stream, self.run, s) for s in seqs for key in (keys.segment_key, keys.features_key)]
            self._redis.delete(*names)
            self._trimmed = needed

    def _persist(self, act: Callable[[], object], patience_s: float) -> None:
        """Try until Redis answers; QueueError after `patience_s`, or at once when told to stop."""
        since, pauses = time.monotonic(), Backoff(0.1, LONGEST_PAUSE_S)
        while True:
            try:
                act()
                return
            except REDIS_AWAY as error:
                kind = trouble(error)
            if self._stop.is_set() or time.monotonic() - since >= patience_s:
                raise QueueError(f"Redis {kind}, and {self.stream} was given up: see to the server.")
            pause_s = pauses.next_s()
            log.warning("Redis %s: %s waits %.1f s.", kind, self.stream, pause_s)
            self.waiting = True
            self._stop.wait(pause_s)
            self.waiting = False


def _result(window: Window, outcome: Outcome, reason: str) -> WindowResult:
    return WindowResult(
        window.stream, window.seq, outcome, window.start_s, window.end_s, window.captured_at_s, reason=reason
    )
