"""`dfd watch`: ingest, worker and monitor as child processes on one machine, and what they find on one screen."""

from __future__ import annotations

import argparse
import contextlib
import queue
import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from dfd_core.environment import child_environment, config_path, load_streams
from dfd_core.errors import DfdError, QueueError, SettingsError
from dfd_core.media import stream_names
from dfd_core.process.commands import Command, Commands, Line
from dfd_core.process.signals import stop_on_signals
from dfd_core.queue.broker import connect
from dfd_core.settings import Settings
from workers.monitor.notices import FAILED, Notice, Row, read_line
from workers.watch.child import SERVER
from workers.watch.terminal import Screen, open_screen

EXAMPLES = """examples:
  dfd watch rtsp://camera/stream clip.mp4
  dfd watch 'synthetic://?duration=24&fake_from=12&live=1'
  dfd watch --config dfd.toml                  # its [streams.NAME] tables; `dfd streams` changes them while it runs
  dfd watch clip.mp4 --json --verdicts verdicts.jsonl
  dfd watch rtsp://camera/stream --redis redis://host:6379/0 --duration 3600"""

CHILD = "workers.watch.child"  # the module that runs each command
EVIDENCE, CONSOLE = "evidence", "console"  # without these, verdicts go on
SERVER_START_S = 60.0
STOP_S = 3.0  # from Ctrl-C to SIGKILL for whatever is left
BLAME_S = 8.0  # in which a dead server is found
DRAIN_S = 15.0  # without any news, once all sources have been read, before the rest is given up
QUIET_S = 60.0  # between two equal complaints
_TIME = re.compile(r"^[0-9-]+ [0-9:,]+ ")
_NEWS = re.compile(r"^dfd: | (WARNING|ERROR|CRITICAL) ")  # what users want to see of a child's standard error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `dfd watch`."""
    what = "URL (rtsp://, synthetic://, ...) or path; none: the streams of the settings file, and those that are added"
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help=what)
    parser.add_argument("--json", action="store_true", help="print verdicts as JSON lines")
    parser.add_argument("--console", action="store_true", help="serve the console and the API too, as dfd serve does")
    parser.add_argument("--duration", type=float, metavar="S", help="stop after this many seconds")
    parser.add_argument(
        "--verdicts", type=Path, metavar="FILE", help="append verdicts to this file, a JSON object a line"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Watch until all sources have ended, --duration is over, or SIGINT or SIGTERM comes; 1 if every source failed."""
    config = config_path(args.config)
    if not args.sources and config is not None:
        load_streams(config, settings)  # wrong tables end it before anything is started
    if args.duration is not None and not args.duration > 0:
        raise SettingsError("--duration must be above 0 seconds.")
    if settings.redis.url:
        connect(settings.redis).close()
    files = {} if args.console else {"worker.bulk_processes": 0}  # nobody submits any
    settings = settings.with_values({**files, "log.format": "human"})
    with stop_on_signals() as stop, tempfile.TemporaryDirectory(prefix="dfd-watch-") as folder:
        commands = Commands(CHILD, child_environment(settings))
        screen = open_screen(args.json)
        try:
            if not settings.redis.url:
                url = _start_server(commands, folder, stop)
                if url is None:
                    return 0
                if not args.sources:
                    screen.report(f"Redis at {url}, for `dfd streams`")
                commands.environment = child_environment(settings.with_values({"redis.url": url}))
            reads = ["--", *args.sources] if args.sources else ["--config", str(config.absolute())] if config else []
            streams = frozenset(stream_names(args.sources)) if args.sources else None
            if settings.evidence.folder:
                commands.start(EVIDENCE, "evidence")
            if args.console:
                commands.start(CONSOLE, "serve")
            return Watch(commands, screen, reads, streams, args.verdicts).run(stop, args.duration)
        finally:
            commands.stop(STOP_S, at_once=SERVER)
            screen.close()


class Watch:
    """Three children and what they say."""

    def __init__(
        self,
        commands: Commands,
        screen: Screen,
        reads: list[str],
        streams: frozenset[str] | None,
        verdicts: Path | None,
    ) -> None:
        """`reads` are the arguments of `dfd ingest`; `streams` those to show, None: whatever comes."""
        self._commands, self._screen = commands, screen
        self._streams = streams
        self._open = set(streams or ())  # those that have not ended
        self._succeeded = False  # at least one ended as it should
        self._read_out = False  # ingest was seen to have ended
        self._rows: list[Row] = []
        self._said: dict[str, float] = {}  # complaints, and when
        self._news_at = time.monotonic()
        keep = ["--verdicts", str(verdicts.absolute())] if verdicts else []
        self._monitor = commands.start("monitor", "monitor", "--rows", *keep)
        self._worker = commands.start("worker", "work")
        self._server = commands.by_name.get(SERVER)
        self._ingest = commands.start("ingest", "ingest", *reads)

    def run(self, stop: threading.Event, duration_s: float | None) -> int:
        """The exit code; DfdError when a child died for good."""
        end_at = time.monotonic() + duration_s if duration_s else None
        stopped = False
        while not stop.is_set():
            self._read_output(0.2)
            if end_at is not None and time.monotonic() >= end_at and not stopped:
                stopped = True
                self._commands.end(self._ingest)
            if self._server is not None:
                self._look_after(self._server)
            for name in (EVIDENCE, CONSOLE):
                if name in self._commands.by_name:
                    self._commands.look(self._commands.by_name[name])
            self._look_after(self._worker)
            self._look_after(self._monitor)
            if not stopped:
                self._look_after(self._ingest, may_end=True)
            if self._ingest_ended() and self._all_told():
                self._read_output(0.0)
                if self._open - self._failed():
                    self._screen.report(f"No more news of {', '.join(sorted(self._open - self._failed()))}: given up.")
                return 0 if stopped or self._succeeded else 1
        return 0

    def _look_after(self, command: Command, may_end: bool = False) -> None:
        ended = self._commands.look(command)
        if ended is None or (may_end and ended.code >= 0):
            return
        if command.waits:
            self._screen.report(f"The {ended.name} was killed (signal {-ended.code}); it is started again.")
            return
        command = self._culprit(command)
        why = command.last_error or f"it ended with exit code {ended.code}."
        raise DfdError(f"The {command.name.replace('-', ' ')} cannot go on: {why}")

    def _culprit(self, command: Command) -> Command:
        """The embedded server in place of one that its death took along: who keeps it finds it dead a bit later."""
        if self._server is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.process.wait(BLAME_S)
                self._commands.look(self._server)  # its last words
                return self._server
        return command

    def _ingest_ended(self) -> bool:
        """Its end counts as news: a server whose death ended it gets the time to be found dead."""
        ended = self._ingest.process.poll() is not None and not self._ingest.waits
        if ended and not self._read_out:
            self._read_out, self._news_at = True, time.monotonic()
        return ended

    def _failed(self) -> set[str]:
        return {row.stream for row in self._rows if row.source == FAILED}

    def _all_told(self) -> bool:
        """No verdict can follow: all streams have ended, or what is left of them shows no life."""
        if not self._open - self._failed():
            return True
        return time.monotonic() - self._news_at > DRAIN_S and not any(row.queue for row in self._rows)

    def _read_output(self, timeout_s: float) -> None:
        """Show all that the children have said; wait for the first line only."""
        try:
            line = self._commands.lines.get(timeout=timeout_s or None, block=timeout_s > 0)
            while True:
                self._take(line)
                line = self._commands.lines.get_nowait()
        except queue.Empty:
            return

    def _take(self, line: Line) -> None:
        if line.error:
            self._take_error(line.text)
        elif line.command == CONSOLE:
            self._screen.report(line.text)
        elif line.command == self._monitor.name:
            self._take_event(line.text)

    def _take_error(self, text: str) -> None:
        """Show what is news; a process that says the same again within a minute is not heard."""
        said = _TIME.sub("", text.removeprefix("dfd: "))
        if not _NEWS.search(text) or time.monotonic() - self._said.get(said, -QUIET_S) < QUIET_S:
            return
        self._said[said] = time.monotonic()
        self._screen.report(said)

    def _take_event(self, text: str) -> None:
        said = read_line(text)
        if isinstance(said, str):
            self._screen.report(f"metrics at {said}")
        elif isinstance(said, Notice):
            self._take_notice(said)
        else:
            self._take_rows([row for row in said if self._shows(row.stream)])

    def _shows(self, stream: str) -> bool:
        """Not those of others on the same Redis."""
        return self._streams is None or stream in self._streams

    def _take_rows(self, rows: list[Row]) -> None:
        if [(row.queue, row.time_s) for row in rows] != [(row.queue, row.time_s) for row in self._rows]:
            self._news_at = time.monotonic()
        self._rows = rows
        self._screen.rows(rows)

    def _take_notice(self, notice: Notice) -> None:
        if not self._shows(notice.verdict.stream):
            return
        self._screen.notice(notice)
        self._news_at = time.monotonic()
        if notice.final:
            self._open.discard(notice.verdict.stream)
            self._succeeded |= notice.reason is None


def _start_server(commands: Commands, folder: str, stop: threading.Event) -> str | None:
    """URL of an embedded server that answers; None when told to stop meanwhile."""
    server = commands.start(SERVER, SERVER, folder, again=False)
    deadline = time.monotonic() + SERVER_START_S
    while time.monotonic() < deadline and server.process.poll() is None and not stop.is_set():
        try:
            line = commands.lines.get(timeout=0.1)
        except queue.Empty:
            continue
        if not line.error:
            return line.text
    if stop.is_set():
        return None
    raise QueueError(server.last_error or "The embedded Redis server does not start: name one with --redis.")
