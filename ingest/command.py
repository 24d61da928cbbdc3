"""`dfd ingest`: a process for each source, a watchdog over them, and their /metrics.

With SOURCE arguments it reads these, and ends when they have. Without, it reads the streams of the settings file and
those that `dfd streams add` adds, until it is stopped; SIGHUP lets it read the file again.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import connection
from types import FrameType
from typing import Any

from prometheus_client import CollectorRegistry

from dfd_core.environment import config_path, settings_of
from dfd_core.errors import SettingsError, WireError
from dfd_core.names import one_line
from dfd_core.process.children import stop_children
from dfd_core.process.guard import Parent
from dfd_core.process.logs import start_logging
from dfd_core.process.metrics_server import serve_metrics
from dfd_core.process.signals import stop_on_signals
from dfd_core.queue import keys, records
from dfd_core.queue.broker import REDIS_AWAY, connect, told, trouble
from dfd_core.queue.lease import new_owner
from dfd_core.queue.streams import StreamRegistry
from dfd_core.settings import Settings
from ingest.metrics import StreamCollector
from ingest.reader import STOP_S, Reader
from ingest.wanted import Own, Wanted, of_arguments, of_file

EXAMPLES = """examples:
  dfd ingest rtsp://camera/stream --redis redis://queue:6379/0
  dfd ingest clip.mp4 'synthetic://?duration=24&fake_from=12' --redis redis://queue:6379/0
  dfd ingest --config dfd.toml                 # its [streams.NAME] tables, and what `dfd streams add` adds
"""
TICK_S = 0.5
FORGET_S = 86400.0
_REFUSED = (
    "Another ingest ({}) reads a stream of this name: stop that one, or give this one a name of its own, as the table "
    "[streams.NAME] of a settings file."
)

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sources."""
    what = "URL (rtsp://, synthetic://, ...) or path; none: the streams of the settings file, and those that are added"
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help=what)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Until all sources have ended, SIGTERM or Ctrl-C; 1 if a source failed."""
    start_logging(settings.log)
    return Ingest(args, settings).run()


class Ingest:
    """The parent of one process a stream. Live sources whose process died are read again, files have failed then."""

    def __init__(self, args: argparse.Namespace, settings: Settings) -> None:
        self._args, self._settings = args, settings
        self._serves = not args.sources  # reads what comes and goes, until it is stopped
        own = self._own(settings)
        self._redis = connect(settings.redis)
        with told(settings.redis):
            self._wanted = Wanted(self._redis, own, settings, takes=self._serves, owner=new_owner())
        self._readers: dict[str, Reader] = {}
        self._told_paused: frozenset[str] = frozenset()
        self._failed: set[str] = set()  # of which that was said
        self._hung_up = False

    def run(self) -> int:
        """The exit code."""
        self._serve()
        with told(self._settings.redis):
            self._forget_old()
        parent = Parent()
        with stop_on_signals() as stop, self._reads_again_on_hangup():
            try:
                self._turn()
                while not stop.is_set() and parent.alive and not self._all_done():
                    pipes = [reader.reports for reader in self._readers.values() if reader.reports is not None]
                    connection.wait([stop.fileno(), *pipes], TICK_S)
                    self._turn()
            finally:
                self._stop_readers()
        if self._serves:
            return 0
        failed = {name: reader.error for name, reader in self._readers.items() if reader.error is not None}
        failed |= {name: _REFUSED.format(holder) for name, holder in self._wanted.claims.refused.items()}
        for name, error in failed.items():
            print(one_line(f"dfd: {name}: {error}"), file=sys.stderr)
        return 1 if failed else 0

    def _own(self, settings: Settings) -> Own:
        if self._args.sources:
            return of_arguments(self._args.sources, settings)
        return of_file(config_path(self._args.config), settings)

    def _serve(self) -> None:
        registry = CollectorRegistry()
        StreamCollector(lambda: [r.status for r in list(self._readers.values()) if r.status is not None], registry)
        metrics = self._settings.metrics
        serve_metrics(registry, metrics.host, metrics.ingest_port, metrics.token_file)

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
                self._wanted.forget(name.decode(errors="replace"))
        StreamRegistry(self._redis).forget_old(FORGET_S)

    def _turn(self) -> None:
        """Bring what is read to what is wanted, and look after all readers."""
        if self._hung_up:
            self._hung_up = False
            self._read_again()
        tasks = self._wanted.look({name for name, reader in self._readers.items() if reader.done})
        for name, reader in list(self._readers.items()):
            if tasks.get(name) != reader.task:
                reader.stop()
            reader.look()
            if self._serves and reader.error is not None and name not in self._failed:
                log.warning("%s: %s", name, reader.error)
            if reader.gone:
                del self._readers[name]
        self._failed = {name for name, reader in self._readers.items() if reader.error is not None}
        self._tell_paused()
        for name, task in tasks.items():
            if name not in self._readers:
                self._readers[name] = Reader(task, self._redis)
                self._readers[name].look()

    def _all_done(self) -> bool:
        if self._serves or self._wanted.paused or self._wanted.claims.may_change:
            return False
        return all(reader.done for reader in self._readers.values())

    def _tell_paused(self) -> None:
        """Once no process is left that could say otherwise."""
        paused = frozenset(name for name in self._wanted.paused if name not in self._readers)
        try:
            for name in paused - self._told_paused:
                self._wanted.tell_paused(name)
        except REDIS_AWAY:
            return  # the next turn tells it
        self._told_paused = paused

    def _read_again(self) -> None:
        """What the settings file says of streams now; a wrong one changes nothing."""
        try:
            settings = settings_of(self._args)
            own = self._own(settings)
            self._wanted.replace(own, settings)
        except SettingsError as error:
            log.error("The settings file is not taken over, all goes on as before: %s", error)
            return
        except REDIS_AWAY as error:
            log.error("Redis %s: ask again with SIGHUP once that is over.", trouble(error))
            return
        if (settings.redis, settings.metrics, settings.log) != (
            self._settings.redis,
            self._settings.metrics,
            self._settings.log,
        ):
            log.warning("[redis], [metrics] and [log] are taken over when ingest is started again.")
        log.info("Read again: %d streams.", len(own.specs))

    @contextmanager
    def _reads_again_on_hangup(self) -> Iterator[None]:
        if not self._serves:
            yield
            return

        def note(signum: int, frame: FrameType | None) -> None:
            self._hung_up = True

        before = signal.signal(signal.SIGHUP, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, before)

    def _stop_readers(self) -> None:
        killed = stop_children([reader.child for reader in self._readers.values()], STOP_S)
        for reader in self._readers.values():
            reader.read_reports()
            if reader.child in killed:
                reader.killed()
        self._wanted.release()
