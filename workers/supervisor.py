"""`dfd work`: starts the worker processes, kills one that hangs, replaces one that died, and saves its jobs."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.context import SpawnContext, SpawnProcess
from types import FrameType
from typing import Any
from uuid import uuid4

from prometheus_client import CollectorRegistry

from dfd_core import wire
from dfd_core.broker import REDIS_AWAY, connect
from dfd_core.errors import DfdError, QueueError
from dfd_core.exposition import serve_metrics
from dfd_core.settings import Settings
from dfd_core.types import ModelInfo
from workers.batch import BatchScorer
from workers.metrics import WorkerMetrics
from workers.recovery import Recovery
from workers.worker import BatchWorker

HELP = "score the windows that wait in Redis"
EXAMPLES = """examples:
  dfd work --redis redis://queue:6379/0
  dfd work --redis redis://queue:6379/0 --set worker.processes=4 --set worker.threads=1
"""
DEFAULT_SCORER = "dfd_core.scoring.load_scorer"
TICK_S = 0.2
RECOVER_S = 2.0
EXIT_FATAL = 78  # of a child whose model or settings are wrong: starting it again would not help
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--processes` is short for --set worker.processes."""
    parser.add_argument("--processes", type=int, help="how many worker processes (default: worker.processes)")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Supervise until SIGTERM or Ctrl-C; the batches in hand are finished."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
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
    child: _Child | None = None
    started_at: float = 0.0
    delay_s: float = 0.0
    due_at: float = field(default=0.0)


class Supervisor:
    """Keeps `worker.processes` children at work.

    `scorer` is the dotted name of a function that makes a scorer from Settings.
    """

    def __init__(self, settings: Settings, scorer: str = DEFAULT_SCORER) -> None:
        self._settings, self._scorer = settings, scorer
        self._redis = connect(settings.redis)
        self._recovery = Recovery(self._redis)
        self._context: SpawnContext = multiprocessing.get_context("spawn")
        self._slots = [_Slot(index) for index in range(settings.worker.processes)]
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
            if dead is not None:
                self._recovery.bury(dead)
        except REDIS_AWAY as error:
            log.warning("Redis does not answer (%s); RQ itself gives lost jobs out again later.", type(error).__name__)

    def _start(self, slot: _Slot) -> None:
        name = f"dfd-{socket.gethostname()}-{uuid4().hex[:8]}"
        busy_since = self._context.RawValue("d", 0.0)
        process = self._context.Process(
            target=work, args=(self._settings, name, slot.index, busy_since, self._scorer), name=name
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


def work(settings: Settings, name: str, index: int, busy_since: Any, scorer: str) -> None:
    """The life of one child: load the model once, then score until told to stop."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        redis = connect(settings.redis)
        loaded = _resolve(scorer)(settings)
    except QueueError as error:
        log.warning("%s", error)
        sys.exit(1)
    except DfdError as error:
        print(f"dfd: {error}", file=sys.stderr)
        sys.exit(EXIT_FATAL)
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry)
    model = _model_info(loaded, settings)
    metrics.show_model(model)
    redis.set(wire.MODEL_KEY, wire.pack_model(model))
    port = settings.metrics.worker_port
    served = serve_metrics(registry, settings.metrics.host, port + index if port > 0 else port)
    log.info("Worker %s scores with %s (%s); metrics port: %s.", name, model.name, model.runtime, served)
    batch = BatchScorer(redis, loaded, settings.queue, metrics)
    worker = BatchWorker(redis, name, batch.run, settings.worker, partial(_mark, busy_since))
    worker.work(logging_level="WARNING")


def _mark(busy_since: Any, busy: bool) -> None:
    busy_since.value = time.monotonic() if busy else 0.0


def _resolve(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    return getattr(__import__(module, fromlist=[name]), name)


def _model_info(scorer: Any, settings: Settings) -> ModelInfo:
    runtime = str(getattr(scorer, "runtime_name", settings.model.runtime))
    return ModelInfo(scorer.model_name, runtime, scorer.thresholds.enter, scorer.thresholds.exit)
