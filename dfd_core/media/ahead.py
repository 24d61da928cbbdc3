"""Reads ahead: a thread that makes what its consumer will want next, while that is busy with what it has."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


def ahead(items: Iterator[_Item], most: int) -> Generator[_Item, None, None]:
    """The items, of which up to `most` are made in a thread before they are asked for; none is lost.

    What the iterator raises is raised after all that came before it. Once this generator is closed, the iterator ends
    with its next item.
    """
    shelf = _Shelf(items, most)
    thread = threading.Thread(target=shelf.fill, name="dfd-ahead", daemon=True)
    thread.start()
    try:
        yield from shelf
    finally:
        shelf.close()
        thread.join()


class _Shelf(Generic[_Item]):
    def __init__(self, items: Iterator[_Item], most: int) -> None:
        self._items, self._most = items, most
        self._waiting: deque[_Item] = deque()
        self._change = threading.Condition()
        self._ended = self._closed = False
        self._error: Exception | None = None

    def fill(self) -> None:
        try:
            for item in self._items:
                with self._change:
                    self._change.wait_for(lambda: len(self._waiting) < self._most or self._closed)
                    if self._closed:
                        break
                    self._waiting.append(item)
                    self._change.notify_all()
        except Exception as error:  # noqa: BLE001  (raised again in the consumer's thread)
            self._error = error
        with self._change:
            self._ended = True
            self._change.notify_all()

    def __iter__(self) -> Iterator[_Item]:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    break
                item = self._waiting.popleft()
                self._change.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        with self._change:
            self._closed = True
            self._change.notify_all()
