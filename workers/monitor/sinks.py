"""Where verdicts go. A sink is one small class with `write` and `close`.

A monitor that dies between writing and moving its cursor writes the same notices again when it comes back, and so does
one that lost Redis in between. Each notice has a key that does not change, and a sink skips the keys that it holds.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

from redis import Redis
from redis.exceptions import RedisError

from dfd_core.errors import DataError
from dfd_core.names import one_line
from dfd_core.queue import keys, records
from dfd_core.queue.alarms import Alarm, AlarmBook, alarm_id
from dfd_core.types import State
from workers.monitor.notices import Notice

TAIL_BYTES = 256 * 1024  # of a file: how far back a sink looks for what it wrote before
TAIL_ENTRIES = 1000  # of a Redis stream

Count = Callable[[str, str], None]  # called with "file" and "dropped" for each notice that is lost

log = logging.getLogger(__name__)


class Sink(Protocol):
    """Takes the notices of one turn, in order; may get the same again, and then skips them."""

    def write(self, notices: Sequence[Notice]) -> None:
        """Keep the notices; after this returns they survive the end of the process."""

    def close(self) -> None:
        """Let go of files and connections that are the sink's own."""


class _Losses:
    """What a sink cannot write because of the disk: dropped, counted, and said once until it can again."""

    def __init__(self, name: str, count: Count) -> None:
        self._name, self._count, self._lost = name, count, 0

    @contextmanager
    def drop(self, number: int) -> Iterator[None]:
        """Within, `number` notices are written, or lost."""
        try:
            yield
        except BrokenPipeError:
            raise  # nobody reads them any more
        except OSError as error:
            if not self._lost:
                log.warning("Verdicts are lost, not written to %s: %s.", self._name, error.strerror)
            self._lost += number
            for _ in range(number):
                self._count("file", "dropped")
            return
        if self._lost and number:
            log.warning("Verdicts are written to %s again; %d were lost.", self._name, self._lost)
            self._lost = 0


class JsonlSink:
    """Appends one JSON object a line to a file; DataError when it cannot be opened. What a full disk takes is lost."""

    def __init__(self, path: Path, count: Count = lambda sink, outcome: None) -> None:
        try:
            tail = _tail(path) if path.is_file() else b""
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise DataError(f"Cannot write verdicts to {path}: {error.strerror}. Name another file.") from None
        self._torn = bool(tail) and not tail.endswith(b"\n")  # a writer died within a line
        self._losses = _Losses(str(path), count)
        self._found = set(_keys(tail.splitlines()))
        self._last: set[str] = set()

    def write(self, notices: Sequence[Notice]) -> None:
        """Append; nothing stays in a buffer."""
        fresh = [notice for notice in notices if notice.key not in self._found | self._last]
        with self._losses.drop(len(fresh)):
            self._append("".join(notice.json() + "\n" for notice in fresh).encode())
        self._last = {notice.key for notice in notices}  # only the last turn can come again

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _append(self, rest: bytes) -> None:
        rest = b"\n" + rest if self._torn and rest else rest
        while rest:
            written = self._file.write(rest)
            self._torn = rest[:written][-1:] != b"\n"
            rest = rest[written:]


class RedisSink:
    """Appends verdicts (not the ends of sources) to the capped stream `dfd:verdicts`; raises RedisError."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._found: set[str] | None = None  # None: to be read, at first and after a write of unknown fate
        self._last: set[str] = set()

    def write(self, notices: Sequence[Notice]) -> None:
        """Append in one transaction."""
        if self._found is None:
            entries: Any = self._client.xrevrange(keys.VERDICTS_KEY, count=TAIL_ENTRIES)
            self._found = {entry.get(b"key", b"").decode(errors="replace") for _, entry in entries}
        fresh = [notice for notice in notices if not notice.final and notice.key not in self._found | self._last]
        pipe = self._client.pipeline(transaction=True)
        for notice in fresh:
            entry = {**records.verdict_fields(notice.verdict), "key": notice.key}
            pipe.xadd(keys.VERDICTS_KEY, entry, maxlen=keys.VERDICTS_CAP, approximate=True)
        try:
            pipe.execute()
        except RedisError:
            self._found = None
            raise
        self._last = {notice.key for notice in notices}

    def close(self) -> None:
        """The connection is the monitor's."""


class AlarmSink:
    """Keeps a record of each alarm in Redis: opened when a face turns fake, ended when it is so no longer."""

    def __init__(self, client: Redis) -> None:
        self._book = AlarmBook(client)

    def write(self, notices: Sequence[Notice]) -> None:
        """Open and end; what was written before changes nothing. Raises RedisError."""
        for notice in notices:
            verdict = notice.verdict
            if verdict.state is State.FAKE and not notice.final:
                self._book.open(_opened(notice))
            else:
                track = None if notice.final else verdict.track
                self._book.close(verdict.stream, notice.run, track, verdict.time_s, notice.captured_at_s)

    def close(self) -> None:
        """The connection is the monitor's."""


def _opened(notice: Notice) -> Alarm:
    verdict = notice.verdict
    return Alarm(
        id=alarm_id(notice.key),
        stream=verdict.stream,
        track=verdict.track,
        run=notice.run,
        since_s=verdict.since_s,
        opened_s=verdict.time_s,
        opened_at_s=notice.captured_at_s,
        worst_probability=verdict.fake_probability,
        checks=dict(verdict.checks),
    )


class LineSink:
    """Prints a line a notice, for people or as JSON."""

    def __init__(
        self, out: TextIO | None = None, as_json: bool = False, count: Count = lambda sink, outcome: None
    ) -> None:
        self._out, self._losses = out or sys.stdout, _Losses("standard output", count)
        self._as_json = as_json
        self._last: set[str] = set()

    def write(self, notices: Sequence[Notice]) -> None:
        """Print and flush."""
        for notice in notices:
            if notice.key in self._last:
                continue
            with self._losses.drop(1):
                print(notice.json() if self._as_json else one_line(notice.line()), file=self._out, flush=True)
        self._last = {notice.key for notice in notices}

    def close(self) -> None:
        """Standard output stays open."""


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read(TAIL_BYTES)


def _keys(lines: Iterable[bytes]) -> Iterable[str]:
    for line in lines:
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if isinstance(data, dict) and isinstance(data.get("key"), str):
            yield data["key"]
