"""Batches made ahead of time by other processes, in order."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from concurrent.futures import Future

from dfd_core.types import Float32Array, UInt8Array
from trainer import processes as children
from trainer.data.face_pool import FacePool
from trainer.fakes.sampler import draw_batch
from trainer.training.recipes import Recipe

AHEAD = 6  # batches in the making
_state: dict[str, tuple[FacePool, Recipe, int]] = {}


def batches(
    pool: FacePool, recipe: Recipe, seed: int, steps: range, *, processes: int = 2
) -> Iterator[tuple[UInt8Array, Float32Array]]:
    """The batches of `steps`, in order; see `draw_batch` for shapes."""
    with children.processes(processes, _prepare, pool, recipe, seed) as executor:
        waiting: collections.deque[Future[tuple[UInt8Array, Float32Array]]] = collections.deque()
        for step in steps:
            waiting.append(executor.submit(_draw, step))
            if len(waiting) >= AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _prepare(*state: object) -> None:
    _state["run"] = state  # type: ignore[assignment]


def _draw(step: int) -> tuple[UInt8Array, Float32Array]:
    pool, recipe, seed = _state["run"]
    return draw_batch(pool, recipe, seed, step)
