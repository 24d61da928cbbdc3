"""What /v1/events tells: read from Redis once a process, however many listen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from dfd_core.errors import WireError
from dfd_core.queue import keys, records
from dfd_core.queue.boards import StreamBoard, read_boards
from workers.serve.parts import Parts
from workers.serve.schemas import AlarmOut

BLOCK_MS = 1000
BATCH = 200
WAITING = 500  # texts that wait for one client; who is further behind is sent away, to come back where it was
AWAY_S = 1.0  # before a Redis that does not answer is asked again

Place = Mapping[str, str]  # the last entry of each stream in Redis that somebody has
Queue = asyncio.Queue[str | None]  # texts of events; None: it is over
_STREAMS = (keys.VERDICTS_KEY, keys.ALARM_NEWS_KEY)


class Feed:
    """Reads from when the first client comes until the last has gone; all in one event loop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._queues, self._states = set[Queue](), dict[str, str]()
        self._place: dict[str, str] = {}
        self._reader: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    @property
    def listeners(self) -> int:
        """How many there are."""
        return len(self._queues)

    async def newest(self) -> dict[str, str]:
        """The place of who has all that there is; RedisError."""
        place = {}
        for key in _STREAMS:
            entries: Any = await self._parts.events.xrevrange(key, count=1)
            place[key] = entries[0][0].decode() if entries else "0-0"
        return place

    async def start(self) -> None:
        """Begin to read at the newest entries, where that is not done already; RedisError."""
        async with self._lock:
            if self._reader is None or self._reader.done():
                self._place = await self.newest()
                await self._changed()
                self._reader = asyncio.create_task(self._read())

    def join(self) -> tuple[Queue, Place, str]:
        """A queue of all that is told from now on, the place where it begins, and the present states as events."""
        queue: Queue = asyncio.Queue(WAITING)
        self._queues.add(queue)
        self._parts.metrics.event_clients.set(len(self._queues))
        return queue, dict(self._place), "".join(self._states.values())

    def leave(self, queue: Queue) -> None:
        """Tell it no more; nothing is read for nobody."""
        self._queues.discard(queue)
        self._parts.metrics.event_clients.set(len(self._queues))
        if not self._queues:
            self.stop()

    def stop(self) -> None:
        """Read no more."""
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    async def between(self, since: Place, until: Place) -> AsyncIterator[str]:
        """What Redis still holds after one place, up to another; RedisError."""
        place = dict(since)
        for key in _STREAMS:
            while True:
                entries: Any = await self._parts.events.xrange(key, f"({place[key]}", until[key], BATCH)
                yield "".join([await self._event(key, entry_id, fields, place) for entry_id, fields in entries])
                if len(entries) < BATCH:
                    break

    async def _read(self) -> None:
        try:
            while True:
                try:
                    said = await self._fresh() + await self._changed()
                except RedisError:
                    said = ": Redis does not answer\n\n"
                    await asyncio.sleep(AWAY_S)
                if said:
                    for queue in list(self._queues):
                        _tell(queue, said)
        finally:
            for queue in list(self._queues):
                _end(queue)

    async def _fresh(self) -> str:
        """What is new in both streams; moves the place."""
        reply: Any = await self._parts.events.xread(dict[Any, Any](self._place), count=BATCH, block=BLOCK_MS)
        found = [(key.decode(), *entry) for key, entries in reply or [] for entry in entries]
        return "".join([await self._event(key, entry_id, fields, self._place) for key, entry_id, fields in found])

    async def _event(self, key: str, entry_id: bytes, fields: Mapping[bytes, bytes], place: dict[str, str]) -> str:
        """One entry of a stream as an event, empty where it is none; moves `place`."""
        place[key] = entry_id.decode()
        where = f"{place[keys.VERDICTS_KEY]}_{place[keys.ALARM_NEWS_KEY]}"
        if key == keys.VERDICTS_KEY:
            with suppress(WireError):
                verdict = asdict(records.parse_verdict(fields))
                told = {**verdict, "key": fields.get(b"key", b"").decode(errors="replace")}
                return _text("verdict", told, where)
            return ""
        alarm = await run_in_threadpool(self._parts.alarms.get, fields[b"id"].decode())
        if alarm is None:
            return ""
        shown = AlarmOut.model_validate(alarm).model_dump(mode="json")
        return _text("alarm", {"what": fields[b"what"].decode(), "alarm": shown}, where)

    async def _changed(self) -> str:
        """The states of streams that are not as they were, which are remembered."""
        boards = await run_in_threadpool(read_boards, self._parts.redis)
        before, self._states = self._states, {name: _state(board) for name, board in boards.items()}
        return "".join(text for name, text in self._states.items() if before.get(name) != text)


def _state(board: StreamBoard) -> str:
    told = {"stream": board.stream, "doing": board.doing, "state": board.state.value, "text": board.text}
    return _text("state", told, None)


def _text(kind: str, data: dict[str, Any], where: str | None) -> str:
    return f"event: {kind}\n" + (f"id: {where}\n" if where else "") + f"data: {json.dumps(data)}\n\n"


def _tell(queue: Queue, said: str) -> None:
    try:
        queue.put_nowait(said)
    except asyncio.QueueFull:
        _end(queue)


def _end(queue: Queue) -> None:
    """What waits is not told any more: who comes back gets it."""
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(None)
