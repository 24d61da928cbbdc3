"""`dfd work`: starts the worker processes, kills one that hangs, replaces one that died, and saves its jobs."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import signal
import socket
import time
from dataclasses import dataclass, field
from multiprocessing.context import SpawnContext, SpawnProcess
from types import FrameType
from typing import Any
from uuid import uuid4

from dfd_core.process.logs import start_logging
from dfd_core.queue.broker import REDIS_AWAY, connect
from dfd_core.settings import Settings
from workers.fleet.process import EXIT_FATAL, Errand, work
from workers.fleet.recovery import Recovery

EXAMPLES = """examples:
  dfd work --redis redis://queue:6379/0
  dfd work --redis redis://queue:6379/0 --set worker.processes=4 --set worker.threads=1
  dfd work --redis redis://queue:6379/0 --processes 0 --set worker.bulk_processes=4     # submitted files only
"""
DEFAULT_SCORER = "dfd_core.judging.scoring.load_scorer"
TICK_S = 0.2
RECOVER_S = 2.0

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


@dataclass(slots=True)
class _Child:
    process: SpawnProcess
    name: str
    busy_since: Any  # RawValue("d"): monotonic seconds, 0 while idle; without a lock, which a killed child could hold


@dataclass(slots=True)
class _Slot:
    """Room for one child; a child that died young is replaced with growing delay."""

    index: int
    bulk: bool = False  # whether its child scores files of the bulk queue
    child: _Child | None = None
    started_at: float = 0.0
    delay_s: float = 0.0
    due_at: float = field(default=0.0)


class Supervisor:
    """Keeps `worker.processes` children at work on windows, and `worker.bulk_processes` on files.

    `scorer` is the dotted name of a function that makes a scorer from Settings.
    """

    def __init__(self, settings: Settings, scorer: str = DEFAULT_SCORER) -> None:
        self._settings, self._scorer = settings, scorer
        self._redis = connect(settings.redis)
        self._recovery = Recovery(self._redis)
        self._context: SpawnContext = multiprocessing.get_context("spawn")
        windows, bulk = settings.worker.processes, settings.worker.bulk_processes
        self._slots = [_Slot(index, index >= windows) for index in range(windows + bulk)]
        self._stop = False
        self._fatal = False

    def run(self) -> int:
        """Until a signal or a child that cannot work at all; the exit code."""
        previous = {number: signal.signal(number, self._request_stop) for number in (signal.SIGTERM, signal.SIGINT)}
        parent, recovered_at = os.getppid(), 0.0
        try:
            while not self._stop and not self._fatal and os.getppid() == parent:
                for slot in self._slots:
                    self._look_after(slot)
                if time.monotonic() - recovered_at >= RECOVER_S:
                    self._recover()
                    recovered_at = time.monotonic()
                time.sleep(TICK_S)
        finally:
            self._stop_children()
            for number, handler in previous.items():
                signal.signal(number, handler)
        return 1 if self._fatal else 0

    def _request_stop(self, signum: int, frame: FrameType | None) -> None:
        self._stop = True

    def _look_after(self, slot: _Slot) -> None:
        child, now = slot.child, time.monotonic()
        if child is None:
            if now >= slot.due_at:
                self._start(slot)
            return
        since = child.busy_since.value
        if since and now - since > self._settings.worker.hang_timeout_s and child.process.is_alive():
            log.warning("Worker %s has hung for %.0f s: it is killed and replaced.", child.name, now - since)
            child.process.kill()
            child.process.join()
        if child.process.is_alive():
            return
        slot.child = None
        code = child.process.exitcode
        if code == EXIT_FATAL:
            self._fatal = True
            return
        log.warning("Worker %s ended with exit code %s: it is replaced.", child.name, code)
        slot.delay_s = 0.0 if now - slot.started_at > 10 else min(10.0, max(0.5, slot.delay_s * 2))
        slot.due_at = now + slot.delay_s
        self._recover(child.name)

    def _recover(self, dead: str | None = None) -> None:
        try:
            self._recovery.sweep()
            self._recovery.enqueue_due()
            if dead is not None:
                self._recovery.bury(dead)
        except REDIS_AWAY as error:
            log.warning("Redis does not answer (%s); RQ itself gives lost jobs out again later.", type(error).__name__)

    def _start(self, slot: _Slot) -> None:
        name = f"dfd-{socket.gethostname()}-{uuid4().hex[:8]}"
        busy_since = self._context.RawValue("d", 0.0)
        process = self._context.Process(
            target=work, args=(self._settings, Errand(name, slot.index, slot.bulk, self._scorer), busy_since), name=name
        )
        process.start()
        slot.child, slot.started_at = _Child(process, name, busy_since), time.monotonic()

    def _stop_children(self) -> None:
        children = [slot.child for slot in self._slots if slot.child is not None]
        for child in children:
            child.process.terminate()
        deadline = time.monotonic() + self._settings.worker.hang_timeout_s
        for child in children:
            child.process.join(max(0.0, deadline - time.monotonic()))
            if child.process.is_alive():
                child.process.kill()
                child.process.join()
                self._recover(child.name)
