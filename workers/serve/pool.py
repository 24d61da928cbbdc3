"""Processes that score one file each, at once: one that hangs or dies on a file takes nothing else along."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from dfd_core.detector import Detector
from dfd_core.errors import DfdError, QueueError, VideoError
from dfd_core.judging.report import Report
from dfd_core.process.bounds import limit_memory, limit_writing
from dfd_core.process.children import SPAWN
from dfd_core.process.guard import end_with_parent
from dfd_core.process.priority import let_others_first
from dfd_core.settings import Settings

WAIT_S = 10.0  # for a process that is free
START_S = 120.0  # to load a model, on top of the first file's own time
_NICENESS = 10  # live windows go first

log = logging.getLogger(__name__)


class Busy(QueueError):
    """Every process has a file in hand."""


class ScorePool:
    """`serve.score_processes` processes, each started when first needed. Thread-safe."""

    def __init__(self, settings: Settings, replaced: Callable[[], None] = lambda: None) -> None:
        """`replaced` is called when a process hung or died."""
        self._settings, self._replaced = settings, replaced
        self._idle: queue.Queue[_Process | None] = queue.Queue()
        self._lock, self._all = threading.Lock(), set[_Process]()
        for _ in range(settings.serve.score_processes):
            self._idle.put(None)

    def score(self, path: str, name: str) -> Report:
        """The report of the file at `path`, that people call `name`.

        Busy where no process is free in time; VideoError where one hung or died on the file.
        """
        try:
            process = self._idle.get(timeout=WAIT_S)
        except queue.Empty:
            raise Busy("Too many files are being scored at once: try again, or submit it to /v1/files.") from None
        try:
            process = process or self._start()
            return process.score(path).named(name)
        except _LostError as error:
            if process is not None:
                self._end(process)
            process = None
            self._replaced()
            raise VideoError(f"{name} cannot be scored: {error}.") from None
        finally:
            self._idle.put(process)

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            for process in list(self._all):
                process.end()
            self._all.clear()

    def _start(self) -> _Process:
        process = _Process(self._settings)
        with self._lock:
            self._all.add(process)
        return process

    def _end(self, process: _Process) -> None:
        process.end()
        with self._lock:
            self._all.discard(process)


class _LostError(Exception):
    """The process is gone, or has to go."""


class _Process:
    """One of them, and the pipe to it."""

    def __init__(self, settings: Settings) -> None:
        self._patience_s = settings.serve.score_timeout_s
        self._pipe, theirs = SPAWN.Pipe()
        self._process: SpawnProcess = SPAWN.Process(target=_serve, args=(settings, theirs), daemon=True, name="score")
        self._process.start()
        theirs.close()
        self._new = True

    def score(self, path: str) -> Report:
        """The report; a DfdError of the process itself is raised here."""
        patience_s = self._patience_s + (START_S if self._new else 0.0)
        self._new = False
        try:
            self._pipe.send(path)
            if not self._pipe.poll(patience_s):
                raise _LostError(f"it took longer than {self._patience_s:.0f} s")
            said = self._pipe.recv()
        except (EOFError, OSError):
            raise _LostError("the process that scored it died") from None
        if isinstance(said, str):
            raise QueueError(said)
        report: Report = said
        return report

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _serve(settings: Settings, pipe: Connection) -> None:
    """Score each path that comes, until the pipe closes."""
    end_with_parent(0.0)
    let_others_first(_NICENESS)
    limit_memory(settings.video.max_memory_bytes)
    limit_writing()
    detector = None
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            path = pipe.recv()
            try:
                detector = detector or Detector(settings)
                pipe.send(detector.score(path, seconds=settings.serve.score_seconds))
            except DfdError as error:
                pipe.send(str(error))
