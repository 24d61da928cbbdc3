"""Where verdicts go. A sink is one small class with `write` and `close`.

A monitor that dies between writing and moving its cursor writes the same notices again when it comes back, and so does
one that lost Redis in between. Each notice has a key that does not change, and a sink skips the keys that it holds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
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


class Sink(Protocol):
    """Takes the notices of one turn, in order; may get the same again, and then skips them."""

    def write(self, notices: Sequence[Notice]) -> None:
        """Keep the notices; after this returns they survive the end of the process."""

    def close(self) -> None:
        """Let go of files and connections that are the sink's own."""


class JsonlSink:
    """Appends one JSON object a line to a file; DataError when it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            tail = _tail(path) if path.is_file() else b""
            self._file = path.open("ab", buffering=0)
            if tail and not tail.endswith(b"\n"):  # a writer died within a line
                self._file.write(b"\n")
        except OSError as error:
            raise self._error(error) from None
        self._found = set(_keys(tail.splitlines()))
        self._last: set[str] = set()

    def write(self, notices: Sequence[Notice]) -> None:
        """Append; nothing stays in a buffer."""
        fresh = [notice for notice in notices if notice.key not in self._found | self._last]
        try:
            rest = "".join(notice.json() + "\n" for notice in fresh).encode()
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise self._error(error) from None
        self._last = {notice.key for notice in notices}  # only the last turn can come again

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _error(self, error: OSError) -> DataError:
        return DataError(f"Cannot write verdicts to {self._path}: {error.strerror}. Name another file.")


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

    def __init__(self, out: TextIO | None = None, as_json: bool = False) -> None:
        self._out = out or sys.stdout
        self._as_json = as_json
        self._last: set[str] = set()

    def write(self, notices: Sequence[Notice]) -> None:
        """Print and flush."""
        for notice in notices:
            if notice.key not in self._last:
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
