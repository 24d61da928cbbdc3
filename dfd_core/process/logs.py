"""How dfd's processes log: one line an event, for people on a terminal, as JSON everywhere else.

Whoever logs redacts; what stands before an @ in a URL goes here once more.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from dfd_core.names import without_secrets
from dfd_core.sections import LogSettings

_HUMAN = "%(asctime)s %(levelname)s %(name)s: %(message)s"


QUIET_S = 60.0  # in which the same is said once
_KINDS = 1000  # of lines that are remembered


class JsonLines(logging.Formatter):
    """A JSON object a line: at (UTC), level, logger, process, event, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.processName,
            "event": without_secrets(record.getMessage()),
        }
        if record.exc_info:
            line["traceback"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class HumanLines(logging.Formatter):
    """Time, level, logger and what happened."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback where there is one."""
        return without_secrets(super().format(record))


@dataclass(slots=True)
class _Said:
    record: logging.LogRecord  # the newest of its kind
    at_s: float
    more: int = 0


class Seldom(logging.StreamHandler[Any]):
    """Says the same once in `QUIET_S`, and then how often it was: a fault that lasts fills no disk.

    The same is what differs in numbers only. What was left unsaid is told with whatever is said next, or at the end.
    """

    def __init__(self, stream: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock, self._said = clock, dict[Hashable, _Said]()

    def emit(self, record: logging.LogRecord) -> None:
        """Say it, or count it."""
        now_s, kind = self._clock(), _kind_of(record)
        self._tell_more(now_s - QUIET_S)
        said = self._said.get(kind)
        if said is None:
            self._said[kind] = _Said(record, now_s)
            super().emit(record)
        else:
            said.more, said.record = said.more + 1, record

    def close(self) -> None:
        """Tell of what was not said."""
        self._tell_more(float("inf"))
        super().close()

    def _tell_more(self, until_s: float) -> None:
        """Of all kinds that were told of at `until_s` or before; those that did not come again are forgotten."""
        while len(self._said) > _KINDS:
            del self._said[next(iter(self._said))]
        due = list(takewhile(lambda pair: pair[1].at_s <= until_s, self._said.items()))  # the oldest stand first
        for kind, said in due:
            del self._said[kind]
            if said.more:
                self._said[kind] = _Said(said.record, self._clock())
                super().emit(_again(said))


def _kind_of(record: logging.LogRecord) -> Hashable:
    given = record.args if isinstance(record.args, tuple) else (record.args,)
    words = tuple(str(arg) for arg in given if not isinstance(arg, int | float))
    return record.name, record.levelno, str(record.msg), words


def _again(said: _Said) -> logging.LogRecord:
    text = f"{said.record.getMessage()} (and {said.more} more like this since it was said last)"
    return logging.makeLogRecord({**said.record.__dict__, "msg": text, "args": None})


def start_logging(settings: LogSettings, level: int = logging.INFO) -> None:
    """Log to standard error from now on, in the form that `settings.format` asks for."""
    human = settings.format == "human" or (settings.format == "auto" and sys.stderr.isatty())
    handler = Seldom()
    handler.setFormatter(HumanLines(_HUMAN) if human else JsonLines())
    logging.basicConfig(level=level, handlers=[handler])
