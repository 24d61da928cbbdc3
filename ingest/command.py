"""`dfd ingest`: a process for each source, a watchdog over them, and their /metrics."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from types import FrameType

from prometheus_client import CollectorRegistry

from dfd_core.errors import WireError
from dfd_core.media import redact, stream_names
from dfd_core.names import one_line
from dfd_core.process.logs import start_logging
from dfd_core.process.metrics_server import serve_metrics
from dfd_core.queue import wire
from dfd_core.queue.broker import REDIS_AWAY, connect
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
LONGEST_DELAY_S = 30.0
FORGET_S = 86400.0

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sources."""
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="URL (rtsp://, synthetic://, ...) or path")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Until all sources have ended, SIGTERM or Ctrl-C; 1 if a source failed."""
    start_logging(settings.log)
    return Ingest(args.sources, settings).run()


@dataclass(slots=True)
class _Stream:
    """One source and the process that reads it, as the parent sees them."""

    url: str
    name: str
    process: SpawnProcess | None = None
    reports: connection.Connection | None = None
    status: StreamStatus | None = None
    progress: tuple[object, ...] = ()
    frames: int = 0  # of the process that runs now
    progress_at: float = 0.0
    delay_s: float = 0.0
    due_at: float = field(default=0.0)
    done: bool = False
    error: str | None = None


class Ingest:
    """The parent of one process a source. Live sources whose process died are read again, files have failed then."""

    def __init__(self, urls: list[str], settings: Settings) -> None:
        self._settings = settings
        self._redis = connect(settings.redis)
        self._context = multiprocessing.get_context("spawn")
        self._streams = [_Stream(url, name) for url, name in zip(urls, stream_names(urls), strict=True)]
        video = settings.video
        self._patience_s = video.open_timeout_s + video.read_timeout_s + video.reconnect_max_s
        self._stop = False

    def run(self) -> int:
        """The exit code."""
        self._serve()
        self._forget_old()
        previous = {number: signal.signal(number, self._request_stop) for number in (signal.SIGTERM, signal.SIGINT)}
        parent = os.getppid()
        try:
            while not self._stop and os.getppid() == parent and not all(s.done for s in self._streams):
                for stream in self._streams:
                    self._look_after(stream)
                pipes = [s.reports for s in self._streams if s.reports is not None]
                connection.wait(pipes, TICK_S) if pipes else time.sleep(TICK_S)
        finally:
            self._stop_children()
            for number, handler in previous.items():
                signal.signal(number, handler)
        failed = [stream for stream in self._streams if stream.error is not None]
        for stream in failed:
            print(one_line(f"dfd: {stream.name}: {stream.error}"), file=sys.stderr)
        return 1 if failed else 0

    def _request_stop(self, signum: int, frame: FrameType | None) -> None:
        self._stop = True

    def _serve(self) -> None:
        registry = CollectorRegistry()
        StreamCollector(lambda: [s.status for s in self._streams if s.status is not None], registry)
        serve_metrics(registry, self._settings.metrics.host, self._settings.metrics.ingest_port)

    def _forget_old(self) -> None:
        """Remove statuses whose last heartbeat is a day old."""
        for name, data in self._redis.hgetall(wire.STREAMS_KEY).items():
            try:
                fresh = wire.parse_status(data).heartbeat_at_s > time.time() - FORGET_S
            except WireError:
                fresh = False
            if not fresh:
                self._redis.hdel(wire.STREAMS_KEY, name)

    def _look_after(self, stream: _Stream) -> None:
        if stream.done:
            return
        if stream.process is None:
            if time.monotonic() >= stream.due_at:
                self._start(stream)
            return
        self._read_reports(stream)
        if stream.process.is_alive():
            silent_s = time.monotonic() - stream.progress_at
            if silent_s > self._patience_s + (0.0 if stream.frames else START_S):
                log.warning("%s made no progress for %.0f s: its process is killed.", stream.name, silent_s)
                stream.process.kill()
                stream.process.join()
            return
        self._read_reports(stream)
        self._ended(stream, stream.process.exitcode)

    def _start(self, stream: _Stream) -> None:
        receiving, sending = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=run_stream, args=(stream.url, stream.name, self._settings, sending), name=f"ingest-{stream.name}"
        )
        process.start()
        sending.close()
        stream.process, stream.reports = process, receiving
        stream.progress, stream.frames, stream.progress_at = (), 0, time.monotonic()

    def _read_reports(self, stream: _Stream) -> None:
        try:
            while stream.reports is not None and stream.reports.poll():
                report: Report = stream.reports.recv()
                status = stream.status = report.status
                stream.frames = status.frames
                progress = (status.run, status.frames, status.reconnects, status.state)
                if report.waiting or progress != stream.progress:
                    stream.progress, stream.progress_at = progress, time.monotonic()
        except (EOFError, OSError):
            stream.reports = None

    def _ended(self, stream: _Stream, code: int | None) -> None:
        status = stream.status
        if stream.reports is not None:
            stream.reports.close()
        stream.process = stream.reports = None
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
            stream.delay_s = min(LONGEST_DELAY_S, max(1.0, stream.delay_s * 2))
            stream.due_at = time.monotonic() + stream.delay_s

    def _tell(self, stream: _Stream, state: StreamState, reason: str | None) -> None:
        """What a child that died could not tell itself: its state, and (with `reason`) the end of its run."""
        if stream.status is None:
            stream.status = StreamStatus(stream.name, "", state, False, redact(stream.url), time.time())
        error = reason or stream.status.error
        status = stream.status = replace(stream.status, state=state, error=error, heartbeat_at_s=time.time())
        try:
            self._redis.hset(wire.STREAMS_KEY, stream.name, wire.pack_status(status))
            if reason is not None and status.run:
                event = EndEvent(stream.name, status.run, status.last_seq, reason)
                self._redis.xadd(wire.RESULTS_KEY, wire.event_fields(event), maxlen=wire.RESULTS_CAP)
        except REDIS_AWAY as error_:
            log.warning("Redis does not answer (%s): the end of %s is not told.", type(error_).__name__, stream.name)

    def _stop_children(self) -> None:
        alive = [(s, s.process) for s in self._streams if s.process is not None]
        for _, process in alive:
            process.terminate()
        deadline = time.monotonic() + STOP_S
        for stream, process in alive:
            process.join(max(0.0, deadline - time.monotonic()))
            self._read_reports(stream)
            if process.is_alive():
                process.kill()
                process.join()
                self._tell(stream, StreamState.ENDED, STOPPED)
