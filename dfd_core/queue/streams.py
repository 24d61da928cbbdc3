"""Which streams are wished for, in Redis: what ingest reads from its file, what `dfd streams` adds, pauses and removes.

Ingest announces the streams of its own file or command line without their addresses. One that was added carries the
name of a variable or a file of the ingest's machine, or a URL that holds nothing to hide; the ingest that takes it
claims it for `CLAIM_S`, and again and again while it reads it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from redis import Redis

from dfd_core.errors import SettingsError, WireError
from dfd_core.queue import keys, records
from dfd_core.queue.lease import Lease
from dfd_core.streams import StreamSpec, canary_of

CLAIM_S = 10.0  # an ingest that is not heard of for so long has lost the streams that were added


class Order(StrEnum):
    """What `dfd streams` asks of a stream, beside that it is read."""

    PAUSED = "paused"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class _Given:
    order: Order
    at_s: float


@dataclass(frozen=True, slots=True)
class Wishes:
    """All wishes at one moment, by stream; records of another version are passed over."""

    specs: dict[str, StreamSpec] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)


class StreamRegistry:
    """Reads and writes the wishes; every method raises RedisError where Redis is away."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def look(self) -> Wishes:
        """All of them."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.WANTED_KEY)
            pipe.hgetall(keys.ORDERS_KEY)
            specs, orders = pipe.execute()
        known = _parsed(specs, StreamSpec)
        return Wishes(known, {name: given.order for name, given in _parsed(orders, _Given).items()})

    def announce(self, specs: Iterable[StreamSpec]) -> None:
        """Tell of streams that stand in a file or on a command line; where they are is nobody else's business."""
        told = {spec.name: _json(replace(spec, url="", url_env="", url_file="", added=False)) for spec in specs}
        if told:
            self._client.hset(keys.WANTED_KEY, mapping=dict[Any, Any](told))

    def restore(self, specs: Iterable[StreamSpec]) -> None:
        """Wish again for streams that were added, after Redis was emptied."""
        for spec in specs:
            self._client.hsetnx(keys.WANTED_KEY, spec.name, _json(spec))

    def withdraw(self, names: Iterable[str], orders: bool = False) -> None:
        """Forget streams that are wished for no more, and with `orders` what was asked of them."""
        gone = list(names)
        if gone:
            self._client.hdel(keys.WANTED_KEY, *gone)
            if orders:
                self._client.hdel(keys.ORDERS_KEY, *gone)

    def forget_orders(self, names: Iterable[str]) -> None:
        """Whatever was asked of these streams is done, or holds no more."""
        done = list(names)
        if done:
            self._client.hdel(keys.ORDERS_KEY, *done)

    def add(self, spec: StreamSpec) -> None:
        """Wish for a new stream; SettingsError where one of that name is wished for already."""
        self.forget_removed(spec.name)
        if not self._client.hsetnx(
            keys.WANTED_KEY, spec.name, _json(replace(spec, added=True, canary=canary_of(spec.url)))
        ):
            raise SettingsError(f"There is a stream {spec.name} already: remove it first, or choose another name.")

    def order(self, name: str, order: Order | None) -> None:
        """Ask something of a stream, or (None) that it is read again; SettingsError for an unknown one."""
        spec = self.look().specs.get(name)
        if spec is None:
            raise SettingsError(f"There is no stream {name}: `dfd streams list` shows those that there are.")
        with self._client.pipeline(transaction=True) as pipe:
            if order is None:
                pipe.hdel(keys.ORDERS_KEY, name)
            else:
                pipe.hset(keys.ORDERS_KEY, name, records.dumps(asdict(_Given(order, time.time()))))
            if order is Order.REMOVED:
                pipe.hdel(keys.WANTED_KEY, name)
            pipe.execute()

    def forget_removed(self, name: str) -> None:
        """A stream of this name may be wished for again."""
        if self.look().orders.get(name) is Order.REMOVED:
            self.forget_orders([name])

    def forget_old(self, older_than_s: float) -> None:
        """Drop what was removed so long ago, by whom no ingest reads any more."""
        orders: Any = self._client.hgetall(keys.ORDERS_KEY)
        for name, given in _parsed(orders, _Given).items():
            if given.order is Order.REMOVED and time.time() - given.at_s > older_than_s:
                self.forget_orders([name])

    def claim(self, name: str, owner: str) -> bool:
        """Whether `owner` is the one that reads an added stream, for `CLAIM_S` from now."""
        return Lease(self._client, keys.owner_key(name), owner, CLAIM_S).hold()

    def release(self, name: str, owner: str) -> None:
        """Let others take an added stream at once."""
        Lease(self._client, keys.owner_key(name), owner).release()


def _json(spec: StreamSpec) -> str:
    return records.dumps(asdict(spec))


def _parsed(values: dict[bytes, bytes], cls: type[records.Record]) -> dict[str, records.Record]:
    found: dict[str, records.Record] = {}
    for name, data in values.items():
        try:
            found[name.decode(errors="replace")] = records.build(cls, records.loads(data))
        except WireError:
            continue
    return found
