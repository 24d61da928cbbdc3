"""Commands as child processes in groups of their own: their lines, their restarts, and their certain end."""

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
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO

from dfd_core.process.backoff import Restarts
from dfd_core.process.children import Ended

KILLED = 3  # times that a command may be killed young, one after the other, and is started again
FIRST_S, LONGEST_S = 0.2, 30.0  # pauses before that


@dataclass(frozen=True, slots=True)
class Line:
    """What a command wrote; `error` tells standard error from standard output."""

    command: str
    text: str
    error: bool


@dataclass(slots=True)
class Command:
    """A process and its last words."""

    name: str
    argv: list[str]
    process: subprocess.Popen[str]
    again: bool = True  # whether it is started again when a signal killed it
    restarts: Restarts = field(default_factory=lambda: Restarts(FIRST_S, LONGEST_S))
    waits: bool = False  # to be started again
    buried: bool = False  # nothing is left of its group, whose number may soon be another's
    last_words: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    readers: list[threading.Thread] = field(default_factory=list)

    @property
    def last_error(self) -> str:
        """Its last sentence for the user, else its last line, else nothing."""
        sentences = [line.removeprefix("dfd: ") for line in self.last_words if line.startswith("dfd: ")]
        return sentences[-1] if sentences else self.last_words[-1] if self.last_words else ""


class Commands:
    """Commands by name; each leads its own process group, so that its own children end with it.

    They are arguments of `python -m module`, whose standard input is a pipe that this process holds open.
    """

    def __init__(self, module: str, environment: dict[str, str]) -> None:
        self._module, self.environment = module, environment
        self.lines: queue.Queue[Line] = queue.Queue()
        self.by_name: dict[str, Command] = {}

    def start(self, name: str, *argv: str, again: bool = True) -> Command:
        """Start one."""
        command = self.by_name[name] = Command(name, list(argv), self._spawn(argv), again)
        self._listen(command)
        return command

    def look(self, command: Command) -> Ended | None:
        """Start it again if that is due, and say when it has ended: for good, unless it now `waits`.

        What a signal killed is started again after a pause, unless that happened too often.
        """
        if command.waits:
            if command.restarts.due:
                command.waits = command.buried = False
                command.restarts.began()
                command.process = self._spawn(command.argv)
                self._listen(command)
            return None
        code = command.process.poll()
        if code is None:
            return None
        if not command.buried:
            _reap(command)
            if code < 0 and command.again:
                command.restarts.ended()
                command.waits = command.restarts.deaths <= KILLED
        return Ended(command.name, code)

    def end(self, command: Command) -> None:
        """Ask one to stop, as Ctrl-C would."""
        command.waits = False
        with contextlib.suppress(ProcessLookupError):
            command.process.send_signal(signal.SIGTERM)

    def stop(self, grace_s: float, at_once: str = "") -> None:
        """Ask all to stop, in `grace_s` seconds at most; then nothing is left of any group. `at_once` is not asked."""
        asked = [command for name, command in self.by_name.items() if name != at_once]
        try:
            for command in asked:
                self.end(command)
            deadline = time.monotonic() + grace_s
            for command in asked:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    command.process.wait(max(0.0, deadline - time.monotonic()))
        finally:
            left = [command for command in self.by_name.values() if not command.buried]
            for command in left:
                _kill_group(command)
            for command in left:
                _reap(command)

    def _spawn(self, argv: Sequence[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", self._module, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=self.environment,
            start_new_session=True,
        )

    def _listen(self, command: Command) -> None:
        streams = ((command.process.stdout, False), (command.process.stderr, True))
        command.readers = [
            threading.Thread(target=self._read, args=(command, stream, error), daemon=True) for stream, error in streams
        ]
        for reader in command.readers:
            reader.start()

    def _read(self, command: Command, stream: IO[str], error: bool) -> None:
        for line in stream:
            if error:
                command.last_words.append(line.rstrip())
            self.lines.put(Line(command.name, line.rstrip("\n"), error))


def _kill_group(command: Command) -> None:
    """What is left of its group, also when it itself has ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(command.process.pid, signal.SIGKILL)


def _reap(command: Command) -> None:
    """Leave nothing of a command that has ended or was killed, once its last words are in."""
    _kill_group(command)
    command.process.wait()
    command.buried = True
    for reader in command.readers:
        reader.join(1.0)
    for stream in (command.process.stdin, command.process.stdout, command.process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
