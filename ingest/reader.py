"""One source and the process that reads it, as their parent sees them."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import time
from dataclasses import dataclass, replace
from multiprocessing import connection
from multiprocessing.process import BaseProcess

from redis import Redis

from dfd_core.conditions import Condition
from dfd_core.media import redact
from dfd_core.process.backoff import Restarts
from dfd_core.process.bounds import why_ended
from dfd_core.process.children import Child, Deadline, Ended
from dfd_core.queue import keys, records
from dfd_core.queue.broker import REDIS_AWAY, trouble
from dfd_core.settings import Settings
from dfd_core.types import STOPPED, EndEvent, StreamState, StreamStatus
from ingest.stream import EXIT_FAILED, Report, run_stream

STOP_S = 3.0  # a child that has not stopped by then is killed
START_S = 60.0  # more patience until the first frame: a busy machine takes long to import and to open
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["ingest.preloaded"])
FIRST_S, LONGEST_S = 1.0, 30.0  # pauses before a source whose process died is read again

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """All that a reader needs: two that are equal read the same in the same way."""

    name: str
    url: str
    live: bool | None
    settings: Settings


class Reader:
    """Starts the process that reads one source, and again where it died; live sources never give up, files do."""

    def __init__(self, task: Task, client: Redis) -> None:
        self.task, self.name = task, task.name
        self._redis = client
        video = task.settings.video
        self._max_cpu_s = video.max_cpu_s
        self._patience_s = video.open_timeout_s + video.read_timeout_s + video.reconnect_max_s
        self.child = Child(self._start, START_S + self._patience_s, Restarts(FIRST_S, LONGEST_S))
        self.reports: connection.Connection | None = None
        self.status: StreamStatus | None = None
        self._progress: tuple[object, ...] = ()
        self._stopping = False
        self.done = False  # nothing is started again
        self.error: str | None = None

    @property
    def gone(self) -> bool:
        """Stopped, and no process is left."""
        return self._stopping and self.child.process is None

    def look(self) -> None:
        """Read what the process says, start it where that is due, and see to its end."""
        self.read_reports()
        if self.done or self.gone:
            return
        ended = self.child.look()
        if ended is not None:
            self.read_reports()  # its last words
            self._close()
            self._take_end(ended)

    def read_reports(self) -> None:
        """Take over what the process has said; progress gives it time for more."""
        try:
            while self.reports is not None and self.reports.poll():
                report: Report = self.reports.recv()
                status = self.status = report.status
                progress = (status.run, status.frames, status.reconnects, status.state)
                if (report.waiting or progress != self._progress) and not self._stopping:
                    self._progress = progress
                    self.child.deadline.within(self._patience_s + (0.0 if status.frames else START_S))
        except (EOFError, OSError):
            self._close()

    def stop(self) -> None:
        """Ask the process to stop, or kill it in the end; `look` until it is `gone`."""
        if self._stopping:
            return
        self._stopping = True
        if self.child.process is not None:
            self.child.process.terminate()
            self.child.deadline.within(STOP_S)

    def killed(self) -> None:
        """Tell of the end of a process that was killed because it did not stop."""
        self._report(StreamState.ENDED, STOPPED)

    def _start(self, deadline: Deadline) -> BaseProcess:
        self.reports, sending = FORKED.Pipe(duplex=False)
        task = self.task
        arguments = (task.url, task.name, task.live, task.settings, sending)
        process = FORKED.Process(target=run_stream, args=arguments, name=f"ingest-{self.name}")
        process.start()
        sending.close()
        self._progress = ()
        return process

    def _close(self) -> None:
        if self.reports is not None:
            self.reports.close()
        self.reports = None

    def _take_end(self, ended: Ended) -> None:
        status = self.status
        if self._stopping:
            if ended.code < 0:
                self.killed()
        elif ended.code == 0:
            self.done = True
        elif ended.code == EXIT_FAILED:
            self.done, self.error = True, status.error if status else None
            self._report(StreamState.ENDED, None)
        else:
            died = ended.code != -signal.SIGXCPU
            why = f"died (exit code {ended.code})" if died else why_ended(ended.code, self._max_cpu_s)
            reason = f"the process that read {redact(self.task.url)} {why}"
            again = status is not None and status.live
            self._report(StreamState.LOST if again else StreamState.ENDED, reason)
            self.done, self.error = not again, None if again else f"{reason[0].upper()}{reason[1:]}."

    def _report(self, state: StreamState, reason: str | None) -> None:
        """What a child that died could not tell itself: its state, and (with `reason`) the end of its run."""
        now_s = time.time()
        if self.status is None:
            self.status = StreamStatus(self.name, "", state, False, redact(self.task.url), now_s)
        error = reason or self.status.error
        condition = Condition.OFFLINE if state is StreamState.LOST else Condition.FAILED
        if error == STOPPED:
            condition = Condition.ENDED
        status = replace(self.status, state=state, error=error, heartbeat_at_s=now_s)
        status = self.status = replace(status, condition=condition, since_at_s=now_s)
        try:
            self._redis.hset(keys.STREAMS_KEY, self.name, records.pack_status(status))
            if reason is not None and status.run:
                event = EndEvent(self.name, status.run, status.last_seq, reason)
                self._redis.xadd(keys.RESULTS_KEY, records.event_fields(event), maxlen=keys.RESULTS_CAP)
        except REDIS_AWAY as error_:
            log.warning("Redis %s: the end of %s is not told.", trouble(error_), self.name)
