"""A small picture of what a source sees, for who looks at the console; only where `console.scene` says so."""

from __future__ import annotations

import time
from collections.abc import Callable

from redis import Redis
from redis.exceptions import RedisError

from dfd_core.queue.kept import scene_is_wanted, show_scene
from dfd_core.types import UInt8Array

EVERY_S = 1.0


class SceneShower:
    """Shows a frame a second in Redis, while somebody looks; `clock` gives seconds that only go forward."""

    def __init__(self, redis: Redis, stream: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis, self._stream, self._clock = redis, stream, clock
        self._due_s = float("-inf")

    def show(self, image: UInt8Array) -> None:
        """Show `image` uint8 (H, W, 3) RGB, if it is time; a Redis that does not take it shows nothing."""
        now_s = self._clock()
        if now_s < self._due_s:
            return
        self._due_s = now_s + EVERY_S
        try:
            if scene_is_wanted(self._redis):
                show_scene(self._redis, self._stream, image)
        except RedisError:
            return  # who tells of it is the publisher
