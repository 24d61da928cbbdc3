"""`dfd ingest`: a process for each source, a watchdog over them, and their /metrics."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from dataclasses import replace
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from typing import Any

from prometheus_client import CollectorRegistry

from dfd_core.errors import WireError
from dfd_core.media import redact, stream_names
from dfd_core.names import one_line
from dfd_core.process.backoff import Restarts
from dfd_core.process.children import SPAWN, Child, Deadline, Ended, stop_children
from dfd_core.process.guard import Parent
from dfd_core.process.logs import start_logging
from dfd_core.process.metrics_server import serve_metrics
from dfd_core.process.signals import stop_on_signals
from dfd_core.queue import keys, records
from dfd_core.queue.broker import REDIS_AWAY, connect, told, trouble
from dfd_core.settings import Settings
from dfd_core.types import STOPPED, EndEvent, StreamState, StreamStatus
from ingest.metrics import StreamCollector
from ingest.stream import EXIT_FAILED, Report, run_stream

EXAMPLES = """examples:
  dfd ingest rtsp://camera/stream --redis redis://queue:6379/0
  dfd ingest clip.mp4 'synthetic://?duration=24&fake_from=12' --redis redis://queue:6379/0
"""
TICK_S = 0.5
STOP_S = 3.0  # a child that has not stopped by then is killed
START_S = 60.0  # more patience until the first frame: a busy machine takes long to import and to open
FIRST_S, LONGEST_S = 1.0, 30.0  # pauses before a source whose process died is read again
FORGET_S = 86400.0

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sources."""
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="URL (rtsp://, synthetic://, ...) or path")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Until all sources have ended, SIGTERM or Ctrl-C; 1 if a source failed."""
    start_logging(settings.log)
    return Ingest(args.sources, settings).run()


class _Stream:
    """One source and the process that reads it, as the parent sees them."""

    def __init__(self, url: str, name: str, settings: Settings) -> None:
        self.url, self.name = url, name
        video = settings.video
        self._settings, self._patience_s = settings, video.open_timeout_s + video.read_timeout_s + video.reconnect_max_s
        self.child = Child(self._start, START_S + self._patience_s, Restarts(FIRST_S, LONGEST_S))
        self.reports: connection.Connection | None = None
        self.status: StreamStatus | None = None
        self._progress: tuple[object, ...] = ()
        self.done = False
        self.error: str | None = None

    def look(self) -> Ended | None:
        """Read what the process says, then as `Child.look`."""
        self.read_reports()
        ended = self.child.look()
        if ended is not None:
            self.read_reports()  # its last words
            self._close()
        return ended

    def read_reports(self) -> None:
        """Take over what the process has said; progress gives it time for more."""
        try:
            while self.reports is not None and self.reports.poll():
                report: Report = self.reports.recv()
                status = self.status = report.status
                progress = (status.run, status.frames, status.reconnects, status.state)
                if report.waiting or progress != self._progress:
                    self._progress = progress
                    self.child.deadline.within(self._patience_s + (0.0 if status.frames else START_S))
        except (EOFError, OSError):
            self._close()

    def _start(self, deadline: Deadline) -> SpawnProcess:
        self.reports, sending = SPAWN.Pipe(duplex=False)
        arguments = (self.url, self.name, self._settings, sending)
        process = SPAWN.Process(target=run_stream, args=arguments, name=f"ingest-{self.name}")
        process.start()
        sending.close()
        self._progress = ()
        return process

    def _close(self) -> None:
        if self.reports is not None:
            self.reports.close()
        self.reports = None


class Ingest:
    """The parent of one process a source. Live sources whose process died are read again, files have failed then."""

    def __init__(self, urls: list[str], settings: Settings) -> None:
        self._settings = settings
        self._redis = connect(settings.redis)
        self._streams = [_Stream(url, name, settings) for url, name in zip(urls, stream_names(urls), strict=True)]

    def run(self) -> int:
        """The exit code."""
        self._serve()
        with told(self._settings.redis):
            self._forget_old()
        parent = Parent()
        with stop_on_signals() as stop:
            try:
                while not stop.is_set() and parent.alive and not all(stream.done for stream in self._streams):
                    self._look_after_all()
                    pipes = [stream.reports for stream in self._streams if stream.reports is not None]
                    connection.wait([stop.fileno(), *pipes], TICK_S)
            finally:
                self._stop_children()
        failed = [stream for stream in self._streams if stream.error is not None]
        for stream in failed:
            print(one_line(f"dfd: {stream.name}: {stream.error}"), file=sys.stderr)
        return 1 if failed else 0

    def _serve(self) -> None:
        registry = CollectorRegistry()
        StreamCollector(lambda: [s.status for s in self._streams if s.status is not None], registry)
        serve_metrics(registry, self._settings.metrics.host, self._settings.metrics.ingest_port)

    def _forget_old(self) -> None:
        """Remove statuses whose last heartbeat is a day old."""
        statuses: Any = self._redis.hgetall(keys.STREAMS_KEY)
        for name, data in statuses.items():
            try:
                fresh = records.parse_status(data).heartbeat_at_s > time.time() - FORGET_S
            except WireError:
                fresh = False
            if not fresh:
                self._redis.hdel(keys.STREAMS_KEY, name)

    def _look_after_all(self) -> None:
        for stream in self._streams:
            ended = None if stream.done else stream.look()
            if ended is not None:
                self._ended(stream, ended.code)

    def _ended(self, stream: _Stream, code: int) -> None:
        status = stream.status
        if code == 0:
            stream.done = True
        elif code == EXIT_FAILED:
            stream.done, stream.error = True, status.error if status else None
            self._tell(stream, StreamState.ENDED, None)
        else:
            reason = f"the process that read {redact(stream.url)} died (exit code {code})"
            again = status is not None and status.live
            self._tell(stream, StreamState.LOST if again else StreamState.ENDED, reason)
            stream.done, stream.error = not again, None if again else f"{reason[0].upper()}{reason[1:]}."

    def _tell(self, stream: _Stream, state: StreamState, reason: str | None) -> None:
        """What a child that died could not tell itself: its state, and (with `reason`) the end of its run."""
        if stream.status is None:
            stream.status = StreamStatus(stream.name, "", state, False, redact(stream.url), time.time())
        error = reason or stream.status.error
        status = stream.status = replace(stream.status, state=state, error=error, heartbeat_at_s=time.time())
        try:
            self._redis.hset(keys.STREAMS_KEY, stream.name, records.pack_status(status))
            if reason is not None and status.run:
                event = EndEvent(stream.name, status.run, status.last_seq, reason)
                self._redis.xadd(keys.RESULTS_KEY, records.event_fields(event), maxlen=keys.RESULTS_CAP)
        except REDIS_AWAY as error_:
            log.warning("Redis %s: the end of %s is not told.", trouble(error_), stream.name)

    def _stop_children(self) -> None:
        killed = stop_children([stream.child for stream in self._streams], STOP_S)
        for stream in self._streams:
            stream.read_reports()
            if stream.child in killed:
                self._tell(stream, StreamState.ENDED, STOPPED)
