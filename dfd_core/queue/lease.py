"""A lease in Redis: one holder at a time, and when it dies another one may have it soon."""

from __future__ import annotations

import os
import socket
from uuid import uuid4

from redis import Redis

TTL_S = 5.0  # after the last renewal; renew it at least each second

_HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


def new_owner() -> str:
    """A name for a holder that people can find: host, process and a few random letters."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"


class Lease:
    """Of `key`, for `owner`; every method raises RedisError."""

    def __init__(self, redis: Redis, key: str, owner: str, ttl_s: float = TTL_S) -> None:
        self._redis, self._key, self._owner, self._ttl_ms = redis, key, owner, int(ttl_s * 1000)

    def hold(self) -> bool:
        """Take it, or keep it: false while it is another's."""
        return bool(self._redis.eval(_HOLD, 1, self._key, self._owner, self._ttl_ms))

    def holder(self) -> str | None:
        """Host and process of whoever has it, without the random letters."""
        value = self._redis.get(self._key)
        return value.decode(errors="replace").rpartition(":")[0] if isinstance(value, bytes) else None

    def release(self) -> None:
        """Let go of it, where it is ours."""
        self._redis.eval(_RELEASE, 1, self._key, self._owner)
