"""Pixels that stay in Redis after their window was scored, for as long as somebody asks for them.

Who keeps evidence asks anew each second; when nobody does, or a window is not suspicious, its pixels go at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import cv2
from redis import Redis

from dfd_core.errors import WireError
from dfd_core.queue import arrays, keys
from dfd_core.types import Segment, UInt8Array

KEEP_MS = 60_000  # that pixels wait
_ASK_MS = 30_000  # that a wish holds
_SCENE_MS = 10_000  # that a picture of a scene stays
_SCENE_PX = 480  # of its longer side


def ask_for_pixels(redis: Redis, least: float, max_bytes: int) -> None:
    """Let pixels of windows stay whose worst face has `least` probability or more, `max_bytes` of them; RedisError."""
    redis.set(keys.EVIDENCE_KEY, f"{least} {max_bytes} {KEEP_MS}", px=_ASK_MS)


def watch(redis: Redis) -> None:
    """Let each stream's newest pixels stay for the next seconds; RedisError."""
    redis.set(keys.WATCHED_KEY, 1, px=_ASK_MS)


def latest_segments(redis: Redis, streams: Sequence[str]) -> dict[str, Segment]:
    """The newest segment of each of `streams` that has one; those of another version of dfd not. RedisError."""
    found: dict[str, Segment] = {}
    values: Any = redis.mget([keys.latest_key(stream) for stream in streams]) if streams else []
    for stream, data in zip(streams, values, strict=True):
        with suppress(WireError):
            if data is not None:
                found[stream] = arrays.unpack_segment(data)
    return found


def kept_segment(redis: Redis, stream: str, run: str, seq: int) -> Segment | None:
    """The segment of a window that was scored, None where it is gone; RedisError, WireError."""
    data: Any = redis.get(keys.segment_key(stream, run, seq))
    return None if data is None else arrays.unpack_segment(data)


def scene_is_wanted(redis: Redis) -> bool:
    """Whether somebody looks at the console; RedisError."""
    return bool(redis.exists(keys.WATCHED_KEY))


def show_scene(redis: Redis, stream: str, image: UInt8Array) -> None:
    """Keep a small JPEG of `image` uint8 (H, W, 3) RGB for some seconds, to be looked at only; RedisError."""
    scale = min(1.0, _SCENE_PX / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 70])
    if done:
        redis.set(keys.scene_key(stream), data.tobytes(), px=_SCENE_MS)


def latest_scenes(redis: Redis, streams: Sequence[str]) -> dict[str, bytes]:
    """The JPEG of each of `streams` that shows one; RedisError."""
    values: Any = redis.mget([keys.scene_key(stream) for stream in streams]) if streams else []
    return {stream: data for stream, data in zip(streams, values, strict=True) if data is not None}
