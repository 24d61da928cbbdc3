"""The names of the streams that this process reads: no other ingest on this Redis reads one of the same name."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from redis import Redis

from dfd_core.queue import keys
from dfd_core.queue.lease import TTL_S, Lease

RENEW_S = 1.0
PATIENCE_S = TTL_S + 2.0  # an ingest that was killed has lost its names by then

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Name:
    lease: Lease
    held: bool = False
    renewed_s: float = -math.inf
    holder: str = ""  # another ingest, host and process
    refused_s: float = 0.0  # since when that is known


class Claims:
    """Holds names for `owner`; `clock` gives monotonic seconds."""

    def __init__(self, client: Redis, owner: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._owner, self._clock = client, owner, clock
        self._names: dict[str, _Name] = {}

    @property
    def held(self) -> set[str]:
        """What was ours when we last asked."""
        return {name for name, state in self._names.items() if state.held}

    @property
    def refused(self) -> dict[str, str]:
        """What another ingest reads, and which."""
        return {name: state.holder for name, state in self._names.items() if state.holder}

    @property
    def may_change(self) -> bool:
        """Whether a name was refused that may still be a dead ingest's."""
        return any(s.holder and self._clock() - s.refused_s < PATIENCE_S for s in self._names.values())

    def hold(self, names: Iterable[str]) -> set[str]:
        """Those of `names` that are ours, or become ours now; all others are let go. RedisError: all stays."""
        wanted = set(names)
        self.release(set(self._names) - wanted)
        for name in wanted:
            self._ask(name, self._names.setdefault(name, self._new(name)))
        return self.held

    def release(self, names: Iterable[str]) -> None:
        """Let others have these at once; raises RedisError."""
        for name in list(names):
            if self._names[name].held:
                self._names[name].lease.release()
            del self._names[name]

    def _new(self, name: str) -> _Name:
        return _Name(Lease(self._client, keys.owner_key(name), self._owner))

    def _ask(self, name: str, state: _Name) -> None:
        now_s = self._clock()
        if state.held and now_s - state.renewed_s < RENEW_S:
            return
        state.held = state.lease.hold()
        state.renewed_s = now_s
        if state.held:
            state.holder = ""
            return
        holder = state.lease.holder() or "just ended"
        if not state.holder:
            state.refused_s = now_s
            log.warning("Another ingest (%s) reads a stream %s: this one reads it once that ends.", holder, name)
        state.holder = holder
