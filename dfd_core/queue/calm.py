"""What the monitor says to ingest of live streams that are calm: a key a stream, gone once it is not renewed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from redis import Redis

from dfd_core.conditions import CalmNote
from dfd_core.errors import WireError
from dfd_core.queue import keys, records


def tell_calm(redis: Redis, notes: Mapping[str, CalmNote | None], ttl_s: float) -> None:
    """Say so of these streams, by name; None: it is not calm. RedisError."""
    with redis.pipeline(transaction=False) as pipe:
        for stream, note in notes.items():
            if note is None:
                pipe.delete(keys.calm_key(stream))
            else:
                pipe.set(keys.calm_key(stream), records.dumps(asdict(note)), px=int(ttl_s * 1000))
        pipe.execute()


def read_calm(redis: Redis, stream: str, run: str) -> CalmNote | None:
    """What is said of this `run` of a stream; None: nothing, or not by this version of dfd. RedisError."""
    data: Any = redis.get(keys.calm_key(stream))
    with suppress(WireError):
        note = None if data is None else records.build(CalmNote, records.loads(data))
        return note if note is not None and note.run == run else None
    return None
