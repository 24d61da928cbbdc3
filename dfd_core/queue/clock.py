"""What time it is by the clock of the Redis server: those of the machines of a system may be hours apart."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError

LOOK_S = 0.5  # the server is asked so often at most


class RedisClock:
    """Unix seconds of the server; between two answers they go by `clock`, which only goes on.

    Until the server has answered, and where it does not let its user ask, they are those of this machine.
    """

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis, self._clock = redis, clock
        self._asked_s = -math.inf
        self._ahead_s = time.time() - clock()

    def look(self) -> None:
        """Ask the server, where that was not done just now; raises RedisError."""
        asked_s = self._clock()
        if asked_s - self._asked_s < LOOK_S:
            return
        said: Any = None
        with suppress(NoPermissionError):
            said = self._redis.time()
        self._asked_s = asked_s
        self._ahead_s = (time.time() if said is None else said[0] + said[1] / 1e6) - self._clock()

    def now_s(self) -> float:
        """What it says now."""
        return self._clock() + self._ahead_s

    def of(self, ours_s: float) -> float:
        """What it said when the clock of this machine said `ours_s`."""
        return ours_s + self.now_s() - time.time()
