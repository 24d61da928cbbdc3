"""The parent's end of `dfd watch`: child processes in groups of their own, their lines, and their certain end."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import IO

RESTARTS = 3  # of a child that a signal killed


@dataclass(frozen=True, slots=True)
class Line:
    """What a child wrote; `error` tells standard error from standard output."""

    child: str
    text: str
    error: bool


@dataclass(slots=True)
class Child:
    """A process, how often it was started again, and its last words."""

    name: str
    argv: list[str]
    process: subprocess.Popen[str]
    restarts: int = 0
    last_words: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    readers: list[threading.Thread] = field(default_factory=list)

    @property
    def complaint(self) -> str:
        """Its last sentence for the user, else its last line, else nothing."""
        sentences = [line.removeprefix("dfd: ") for line in self.last_words if line.startswith("dfd: ")]
        return sentences[-1] if sentences else self.last_words[-1] if self.last_words else ""


class Family:
    """Children by name; each leads its own process group, so that its own children end with it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.lines: queue.Queue[Line] = queue.Queue()
        self.children: dict[str, Child] = {}

    def start(self, name: str, *argv: str) -> Child:
        """Start `dfd argv...` on the leash."""
        child = Child(name, list(argv), self._spawn(list(argv)))
        self.children[name] = child
        self._listen(child)
        return child

    def restart(self, child: Child) -> bool:
        """Start a child again that a signal killed; false when that was tried often enough, or it ended by itself."""
        code = child.process.poll()
        if code is None or code >= 0 or child.restarts >= RESTARTS:
            return False
        _kill_group(child)
        _bury(child)
        child.restarts += 1
        child.process = self._spawn(child.argv)
        self._listen(child)
        return True

    def end(self, child: Child) -> None:
        """Ask one child to stop, as Ctrl-C would."""
        with contextlib.suppress(ProcessLookupError):
            child.process.send_signal(signal.SIGTERM)

    def stop(self, grace_s: float, at_once: str = "") -> None:
        """Ask all to stop, in `grace_s` seconds at most; then nothing is left of any group. `at_once` is not asked."""
        asked = [child for name, child in self.children.items() if name != at_once]
        try:
            for child in asked:
                self.end(child)
            deadline = time.monotonic() + grace_s
            for child in asked:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.process.wait(max(0.0, deadline - time.monotonic()))
        finally:
            for child in self.children.values():
                _kill_group(child)
            for child in self.children.values():
                _bury(child)

    def _spawn(self, argv: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "workers.watch.guard", *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=self.environment,
            start_new_session=True,
        )

    def _listen(self, child: Child) -> None:
        streams = ((child.process.stdout, False), (child.process.stderr, True))
        child.readers = [
            threading.Thread(target=self._read, args=(child, stream, error), daemon=True) for stream, error in streams
        ]
        for reader in child.readers:
            reader.start()

    def _read(self, child: Child, stream: IO[str], error: bool) -> None:
        for line in stream:
            if error:
                child.last_words.append(line.rstrip())
            self.lines.put(Line(child.name, line.rstrip("\n"), error))


def _kill_group(child: Child) -> None:
    """What is left of the child's group, also when the child itself has ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, signal.SIGKILL)


def _bury(child: Child) -> None:
    child.process.wait()
    for reader in child.readers:
        reader.join(1.0)
    for stream in (child.process.stdin, child.process.stdout, child.process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
