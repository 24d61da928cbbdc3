"""Listens to results and alarms beside the monitor, and keeps what windows said of each face that raised an alarm.

It is a thread with a connection of its own: however slow it is, no verdict waits for it.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Mapping
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from dfd_core.errors import WireError
from dfd_core.process.backoff import Backoff
from dfd_core.queue import keys, records
from dfd_core.queue.alarms import AlarmBook
from dfd_core.types import WindowEvent, WindowScore

BEFORE = 60  # windows of a face that are remembered, in case that an alarm follows
FACES = 2000  # faces that are remembered
BATCH = 500  # entries read at once
BLOCK_MS = 500
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0

log = logging.getLogger(__name__)

Face = tuple[str, str, int]  # stream, run, track


class Listener:
    """Follows the faces in `dfd:results`; `turn` reads what is new."""

    def __init__(self, client: Redis) -> None:
        """Begins with the newest results, and the alarms that last; RedisError."""
        self._client, self._book = client, AlarmBook(client)
        self._recent: OrderedDict[Face, deque[WindowScore]] = OrderedDict()
        self._results, self._news = self._newest(keys.RESULTS_KEY), self._newest(keys.ALARM_NEWS_KEY)
        for entry in reversed(self._last_results()):
            self._note(entry)
        self._lasting: dict[Face, str] = {}
        for face, name in self._book.lasting().items():
            self._open(face, name)

    def turn(self, block_ms: int = BLOCK_MS) -> None:
        """Read what is new and keep it with the alarms that it belongs to; RedisError."""
        cursors: Any = {keys.RESULTS_KEY: self._results, keys.ALARM_NEWS_KEY: self._news}
        reply: Any = self._client.xread(cursors, count=BATCH, block=block_ms)
        entries = {key.decode(): found for key, found in reply or []}
        fresh: defaultdict[Face, list[WindowScore]] = defaultdict(list)
        for entry_id, fields in entries.get(keys.RESULTS_KEY, []):
            self._results = entry_id.decode()
            for face, score in self._note(fields):
                fresh[face].append(score)
        for face, name in self._lasting.items():
            if fresh[face]:
                self._book.see(name, fresh[face])
        for entry_id, fields in entries.get(keys.ALARM_NEWS_KEY, []):
            self._news = entry_id.decode()
            self._listen(fields[b"id"].decode(), fields[b"what"].decode())

    def _listen(self, name: str, what: str) -> None:
        alarm = self._book.get(name)
        if alarm is None or what not in ("opened", "ended"):
            return
        face = alarm.stream, alarm.run, alarm.track
        if what == "opened":
            self._open(face, name)
        elif self._lasting.get(face) == name:
            del self._lasting[face]

    def _open(self, face: Face, name: str) -> None:
        self._lasting[face] = name
        if self._recent.get(face):
            self._book.see(name, list(self._recent[face]))

    def _note(self, fields: Mapping[bytes, bytes]) -> list[tuple[Face, WindowScore]]:
        """Remember the scores of one result."""
        try:
            event = records.parse_event(fields)
        except WireError:
            return []  # the monitor tells of it
        if not isinstance(event, WindowEvent):
            return []
        found = [((event.stream, event.run, score.track), score) for score in event.result.scores]
        for face, score in found:
            self._recent.setdefault(face, deque(maxlen=BEFORE)).append(score)
            self._recent.move_to_end(face)
        while len(self._recent) > FACES:
            self._recent.popitem(last=False)
        return found

    def _newest(self, key: str) -> str:
        entries: Any = self._client.xrevrange(key, count=1)
        return str(entries[0][0].decode()) if entries else "0-0"

    def _last_results(self) -> list[Mapping[bytes, bytes]]:
        entries: Any = self._client.xrevrange(keys.RESULTS_KEY, max=self._results, count=BATCH)
        return [fields for _, fields in entries]


class Keeper(threading.Thread):
    """Runs a Listener until `stop`; a Redis that is lost is waited for, and what passed meanwhile is lost to it."""

    def __init__(self, client: Redis) -> None:
        super().__init__(name="keeper", daemon=True)
        self._client, self._over = client, threading.Event()

    def run(self) -> None:
        """Listen."""
        pauses = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        listener = None
        while not self._over.is_set():
            try:
                listener = listener or Listener(self._client)
                listener.turn()
                pauses.reset()
            except (RedisError, WireError) as error:
                log.debug("The keeper begins anew: %s", error)
                listener = None
                self._over.wait(pauses.next_s())

    def stop(self) -> None:
        """End it, and let go of its connection."""
        self._over.set()
        if self.is_alive():
            self.join(2 * BLOCK_MS / 1000)
        self._client.close()
