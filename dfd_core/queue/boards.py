"""What the monitor thinks of each stream just now, for whoever asks: a hash that it renews twice a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from redis import Redis

from dfd_core.errors import WireError
from dfd_core.queue import keys, records
from dfd_core.types import State, StreamStatus, Verdict

_Record = TypeVar("_Record", "StreamBoard", StreamStatus)


@dataclass(frozen=True, slots=True)
class StreamBoard:
    """`state` and `text` say what is thought of the stream, `faces` of each face that is seen; `at_s` is Unix time.

    `doing` is what the source does; `time_s` media seconds; `latency_s` from capture to result, None where unknown.
    """

    stream: str
    doing: str
    state: State
    text: str
    fake_probability: float | None
    time_s: float
    latency_s: float | None
    waiting: int
    dropped: int
    faces: tuple[Verdict, ...]
    at_s: float


def publish_boards(redis: Redis, boards: Sequence[StreamBoard]) -> None:
    """Let these be all that there are; RedisError."""
    with redis.pipeline(transaction=True) as pipe:
        pipe.delete(keys.BOARDS_KEY)
        if boards:
            pipe.hset(keys.BOARDS_KEY, mapping={board.stream: records.dumps(asdict(board)) for board in boards})
        pipe.execute()


def read_boards(redis: Redis) -> dict[str, StreamBoard]:
    """The boards by stream; those of another version of dfd are passed over."""
    return _read(redis, keys.BOARDS_KEY, StreamBoard)


def read_statuses(redis: Redis) -> dict[str, StreamStatus]:
    """What ingest says of each stream; those of another version of dfd are passed over."""
    return _read(redis, keys.STREAMS_KEY, StreamStatus)


def _read(redis: Redis, key: str, kind: type[_Record]) -> dict[str, _Record]:
    kept: Any = redis.hgetall(key)
    found: dict[str, _Record] = {}
    for text in kept.values():
        try:
            record = records.build(kind, records.loads(text))
        except WireError:
            continue
        found[record.stream] = record
    return found
