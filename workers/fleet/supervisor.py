"""`dfd work`: starts the worker processes, kills one that hangs, replaces one that died, and saves its jobs."""

from __future__ import annotations

import argparse
import logging
import socket
import time
from multiprocessing.context import SpawnProcess
from uuid import uuid4

from dfd_core.process.backoff import Restarts
from dfd_core.process.bounds import why_ended
from dfd_core.process.children import SPAWN, Child, Deadline, stop_children
from dfd_core.process.guard import Parent
from dfd_core.process.logs import start_logging
from dfd_core.process.signals import stop_on_signals
from dfd_core.queue.broker import REDIS_AWAY, connect, trouble
from dfd_core.settings import Settings
from workers.fleet.process import EXIT_FATAL, Assignment, work
from workers.fleet.recovery import Recovery

EXAMPLES = """examples:
  dfd work --redis redis://queue:6379/0
  dfd work --redis redis://queue:6379/0 --set worker.processes=4 --set worker.threads=1
  dfd work --redis redis://queue:6379/0 --processes 0 --set worker.bulk_processes=4     # submitted files only
"""
DEFAULT_SCORER = "dfd_core.judging.scoring.load_scorer"
TICK_S = 0.2
RECOVER_S = 2.0
FIRST_S, LONGEST_S = 0.5, 10.0  # pauses before a worker is replaced

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--processes` is short for --set worker.processes."""
    parser.add_argument("--processes", type=int, help="how many worker processes (default: worker.processes)")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Supervise until SIGTERM or Ctrl-C; the batches in hand are finished."""
    start_logging(settings.log)
    if args.processes is not None:
        settings = settings.with_values({"worker.processes": args.processes})
    return Supervisor(settings).run()


class Supervisor:
    """Keeps `worker.processes` children at work on windows, and `worker.bulk_processes` on files.

    `scorer` is the dotted name of a function that makes a scorer from Settings.
    """

    def __init__(self, settings: Settings, scorer: str = DEFAULT_SCORER) -> None:
        self._settings, self._scorer = settings, scorer
        self._redis = connect(settings.redis)
        self._recovery = Recovery(self._redis)
        windows, bulk = settings.worker.processes, settings.worker.bulk_processes
        self._children = [self._child(index, index >= windows) for index in range(windows + bulk)]

    def run(self) -> int:
        """Until a signal or a child that cannot work at all; the exit code."""
        parent, recovered_at, fatal = Parent(), 0.0, False
        with stop_on_signals() as stop:
            try:
                while not (stop.is_set() or fatal) and parent.alive:
                    fatal = any(self._look_after(child) for child in self._children)
                    if time.monotonic() - recovered_at >= RECOVER_S:
                        self._recover()
                        recovered_at = time.monotonic()
                    stop.wait(TICK_S)
            finally:
                for killed in stop_children(self._children, self._settings.worker.hang_timeout_s):
                    self._recover(killed.name)
        return 1 if fatal else 0

    def _child(self, index: int, bulk: bool) -> Child:
        def start(deadline: Deadline) -> SpawnProcess:
            name = f"dfd-{socket.gethostname()}-{uuid4().hex[:8]}"
            assignment = Assignment(name, index, bulk, self._scorer)
            process = SPAWN.Process(target=work, args=(self._settings, assignment, deadline), name=name)
            process.start()
            return process

        return Child(start, self._settings.worker.start_timeout_s, Restarts(FIRST_S, LONGEST_S))

    def _look_after(self, child: Child) -> bool:
        """Whether it cannot work at all, nor could another one."""
        ended = child.look()
        if ended is None:
            return False
        if ended.code != EXIT_FATAL:
            why = why_ended(ended.code, self._settings.video.max_cpu_s)
            log.warning("Worker %s %s: it is replaced.", ended.name, why)
            self._recover(ended.name)
        return ended.code == EXIT_FATAL

    def _recover(self, dead: str | None = None) -> None:
        try:
            self._recovery.sweep()
            self._recovery.enqueue_due()
            if dead is not None:
                self._recovery.recover(dead)
        except REDIS_AWAY as error:
            log.warning("Redis %s; RQ itself gives lost jobs out again later.", trouble(error))
