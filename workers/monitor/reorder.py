"""Workers finish in any order; this puts the results of one run of one source back in order of `seq`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    item: T
    since_s: float


class Reorder(Generic[T]):
    """Holds items until those before them have come, or have been waited for long enough."""

    def __init__(self, first: int = 0) -> None:
        self.next = first  # the seq that is due
        self.given_up = 0  # how many never came in time
        self._waiting: dict[int, _Waiting[T]] = {}

    def push(self, seq: int, item: T, now_s: float) -> bool:
        """Take an item at monotonic time `now_s`; false if its turn is over or it is here already."""
        if seq < self.next or seq in self._waiting:
            return False
        self._waiting[seq] = _Waiting(item, now_s)
        return True

    def pop(self, now_s: float, patience_s: float) -> Iterator[T]:
        """The items whose turn has come; once any has waited for `patience_s`, the missing ones before are given up."""
        while self._waiting:
            if self.next not in self._waiting:
                if now_s - min(waiting.since_s for waiting in self._waiting.values()) < patience_s:
                    return
                self.skip_to(min(self._waiting))
            item = self._waiting.pop(self.next).item
            self.next += 1
            yield item

    def skip_to(self, seq: int) -> None:
        """Give up what is missing before `seq`."""
        self.given_up += max(0, seq - self.next)
        self.next = max(self.next, seq)

    def waiting(self) -> list[T]:
        """What is held back, in no order."""
        return [waiting.item for waiting in self._waiting.values()]
