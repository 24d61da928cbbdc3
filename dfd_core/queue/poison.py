"""Windows that no worker survives: set aside after two tries, counted, and the newest kept for people to look at."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from redis import Redis

from dfd_core.errors import WireError
from dfd_core.queue import keys, records
from dfd_core.queue.broker import settle
from dfd_core.queue.records import WindowHeader
from dfd_core.types import WindowEvent, WindowResult

KEPT = 20  # windows; some megabytes each
KEPT_S = 7 * 86400


def set_aside(redis: Redis, header: WindowHeader, result: WindowResult) -> bool:
    """Settle a window as `result` says, and keep what was to be scored; false where it was settled before."""
    names = [(header.stream, header.run, seq) for seq in header.segments]
    stored = {f"segment:{name[2]}": keys.segment_key(*name) for name in names}
    stored |= {f"features:{name[2]}": keys.features_key(*name) for name in names}
    found: Any = redis.mget(list(stored.values()))
    with redis.pipeline() as pipe:
        settle(pipe, header.pending, WindowEvent(header.run, result))
        if not pipe.execute()[0]:
            return False
    name = keys.job_id(*names[-1])
    kept: dict[Any, Any] = {field: data for field, data in zip(stored, found, strict=True) if data is not None}
    kept |= {"header": records.dumps(records.header_json(header)), "reason": result.reason or ""}
    with redis.pipeline() as pipe:
        pipe.incr(keys.POISON_COUNT_KEY)
        pipe.hset(keys.poison_key(name), mapping=kept)
        pipe.expire(keys.poison_key(name), KEPT_S)
        pipe.zadd(keys.POISON_KEY, {name: time.time()})
        pipe.zrange(keys.POISON_KEY, 0, -KEPT - 1)
        old: Any = pipe.execute()[-1]
    if old:
        redis.zrem(keys.POISON_KEY, *old)
        redis.delete(*[keys.poison_key(each.decode()) for each in old])
    return True


def kept_windows(redis: Redis) -> dict[str, tuple[WindowHeader, str, dict[str, bytes]]]:
    """By name, oldest first: header, reason, and bytes for `arrays.unpack_segment` or `unpack_features`. RedisError."""
    found = {}
    names: Any = redis.zrange(keys.POISON_KEY, 0, -1)
    for name in names:
        kept: Any = redis.hgetall(keys.poison_key(name.decode()))
        try:
            header = records.parse_header(records.loads(kept.pop(b"header", b"")) | {"v": records.VERSION})
        except WireError:
            continue
        reason = kept.pop(b"reason", b"").decode(errors="replace")
        found[name.decode()] = header, reason, {field.decode(): data for field, data in kept.items()}
    return found


def drop(redis: Redis, names: Iterable[str]) -> int:
    """Keep these windows no longer; how many of them were kept. RedisError."""
    gone = list(names)
    if not gone:
        return 0
    with redis.pipeline() as pipe:
        pipe.zrem(keys.POISON_KEY, *gone)
        pipe.delete(*map(keys.poison_key, gone))
        return int(pipe.execute()[0])
