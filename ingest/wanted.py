"""What one ingest process is to read: the streams of its command line or file, and those added that it took."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from redis import Redis

from dfd_core.conditions import Condition
from dfd_core.environment import address_of, load_streams
from dfd_core.errors import SettingsError
from dfd_core.media import redact, stream_names
from dfd_core.queue import keys, records
from dfd_core.queue.broker import REDIS_AWAY, trouble
from dfd_core.queue.streams import Order, StreamRegistry, Wishes
from dfd_core.settings import Settings
from dfd_core.streams import StreamSpec, canary_of
from dfd_core.types import STOPPED, StreamState, StreamStatus
from ingest.claims import Claims
from ingest.reader import Task

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Own:
    """The streams of a command line or a file, ready to be read."""

    specs: tuple[StreamSpec, ...]
    tasks: dict[str, Task]


def of_arguments(urls: Sequence[str], settings: Settings) -> Own:
    """The sources of a command line."""
    specs = [StreamSpec(name, url=url) for name, url in zip(stream_names(urls), urls, strict=True)]
    return _own(specs, settings)


def of_file(path: Path | None, settings: Settings) -> Own:
    """The streams of a settings file; SettingsError for the first thing that is wrong, addresses not to be had too."""
    return _own([] if path is None else load_streams(path, settings), settings)


def _own(specs: Sequence[StreamSpec], settings: Settings) -> Own:
    tasks = {spec.name: task_of(spec, settings) for spec in specs if spec.enabled}
    canaries = {name: canary_of(task.url) for name, task in tasks.items()}
    return Own(tuple(replace(spec, canary=canaries.get(spec.name)) for spec in specs), tasks)


def task_of(spec: StreamSpec, settings: Settings) -> Task:
    """What a reader of the stream needs; SettingsError where its address cannot be had or its numbers do not fit."""
    return Task(spec.name, address_of(spec), spec.live, spec.settings(settings))


class Wanted:
    """Compares what this process has of its own with what Redis says, twice a second.

    `takes`: whether it reads streams that `dfd streams add` adds, too. While Redis is away, all stays as it is.
    """

    def __init__(self, client: Redis, own: Own, settings: Settings, *, takes: bool, owner: str) -> None:
        self._client, self._registry = client, StreamRegistry(client)
        self._settings, self._takes, self._owner = settings, takes, owner
        self._own = own
        self.claims = Claims(client, owner)  # of our own streams
        self._taken: dict[str, Task] = {}
        self._added: dict[str, StreamSpec] = {}  # of those taken
        self._paused: frozenset[str] = frozenset()
        self._refused: dict[str, str] = {}  # added streams that cannot be read here, and why
        self._registry.announce(own.specs)
        self._registry.forget_orders(self._removed(self._registry.look()))

    def replace(self, own: Own, settings: Settings) -> None:
        """Go on with what a file says now; raises RedisError."""
        gone = {spec.name for spec in self._own.specs} - {spec.name for spec in own.specs}
        self._own, self._settings = own, settings
        self._taken, self._refused = {}, {}  # made anew, with these settings
        self._registry.withdraw(gone, orders=True)
        self._registry.announce(own.specs)
        self._registry.forget_orders(self._removed(self._registry.look()))

    def look(self, done: Collection[str] = ()) -> dict[str, Task]:
        """What is to be read now, by stream; those in `done` were read to their end and need no claim any more."""
        try:
            wishes = self._registry.look()
            if self._lost(wishes):
                wishes = self._registry.look()
            self._taken = dict(self._take(wishes))
            self._added = {name: wishes.specs[name] for name in self._taken}
            self._obey(wishes)
            self.claims.hold(name for name in self._own.tasks if name not in self._paused and name not in done)
        except REDIS_AWAY as error:
            log.debug("Redis %s: the streams stay as they are.", trouble(error))
        tasks = self._own.tasks | self._taken
        ours = self.claims.held | self._taken.keys() | set(done)
        return {name: task for name, task in tasks.items() if name in ours and name not in self._paused}

    def forget(self, name: str) -> None:
        """A stream of which nothing was heard for long is wished for no more, unless it is ours or was added."""
        spec = self._registry.look().specs.get(name)
        if spec is not None and not spec.added and name not in {own.name for own in self._own.specs}:
            self._registry.withdraw([name], orders=True)

    def release(self) -> None:
        """Let others take what was ours."""
        try:
            self.claims.release(self.claims.held)
            for name in self._taken:
                self._registry.release(name, self._owner)
        except REDIS_AWAY:
            log.debug("Claims run out by themselves.")

    def tell_paused(self, name: str) -> None:
        """Write the status of a stream that nobody reads because it is paused; raises RedisError."""
        task = (self._own.tasks | self._taken)[name]
        now_s = time.time()
        status = StreamStatus(name, "", StreamState.ENDED, True, redact(task.url), now_s, error=STOPPED)
        status = replace(status, condition=Condition.PAUSED, since_at_s=now_s)
        self._client.hset(keys.STREAMS_KEY, name, records.pack_status(status))

    @property
    def paused(self) -> frozenset[str]:
        """Streams of this process that are not read for now."""
        return self._paused

    def _removed(self, wishes: Wishes) -> list[str]:
        mine = {spec.name for spec in self._own.specs}
        return [name for name, order in wishes.orders.items() if name in mine and order is Order.REMOVED]

    def _lost(self, wishes: Wishes) -> bool:
        """Tell Redis again what it should know and does not, because it was emptied; whether there was any."""
        known = wishes.specs.keys() | wishes.orders.keys()
        own = [spec for spec in self._own.specs if spec.name not in known]
        added = [spec for name, spec in self._added.items() if name not in known]
        self._registry.announce(own)
        self._registry.restore(added)
        return bool(own or added)

    def _take(self, wishes: Wishes) -> Iterator[tuple[str, Task]]:
        """The added streams that are ours."""
        own = {spec.name for spec in self._own.specs}
        self._registry.forget_orders(name for name in self._added if wishes.orders.get(name) is Order.REMOVED)
        for name, spec in wishes.specs.items() if self._takes else ():
            if not spec.added or name in own or not spec.enabled:
                continue
            try:
                task = task_of(spec, self._settings)
            except SettingsError as error:
                self._tell_refused(name, str(error))
                continue
            if self._registry.claim(name, self._owner):
                self._refused.pop(name, None)
                yield name, task

    def _obey(self, wishes: Wishes) -> None:
        """What was asked of the streams of this process."""
        mine = set(self._own.tasks) | set(self._taken)
        paused = {name for name, order in wishes.orders.items() if order is Order.PAUSED and name in mine}
        self._paused = frozenset(paused)
        removed = self._removed(wishes)
        if removed:
            log.info("Removed: %s. What stands in the settings file is back when that is read again.", removed)
            specs = tuple(spec for spec in self._own.specs if spec.name not in removed)
            tasks = {name: task for name, task in self._own.tasks.items() if name not in removed}
            self._own = Own(specs, tasks)
            self._registry.withdraw(removed, orders=True)

    def _tell_refused(self, name: str, why: str) -> None:
        """Say once that this machine cannot read an added stream; another one may."""
        if self._refused.get(name) == why:
            return
        self._refused[name] = why
        log.warning("%s", why)
        now_s = time.time()
        status = StreamStatus(name, "", StreamState.ENDED, True, name, now_s, error=why)
        status = replace(status, condition=Condition.FAILED, since_at_s=now_s)
        self._client.hsetnx(keys.STREAMS_KEY, name, records.pack_status(status))
