"""/v1/events: verdicts, alarms and states of streams as they come, by server-sent events.

An event's id is the last entry of both streams in Redis that the client has; a client that comes back with it misses
nothing that Redis still holds. States have no id: who comes is told the current ones.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from dfd_core.errors import WireError
from dfd_core.queue import keys, records
from dfd_core.queue.boards import read_boards
from workers.serve.parts import READ, Given, Parts
from workers.serve.problems import RESPONSES, refusal
from workers.serve.schemas import AlarmOut

router = APIRouter(tags=["events"])

BLOCK_MS = 1000
BATCH = 200
QUIET_S = 15.0  # without an event, a comment keeps the connection open
_ID = re.compile(r"(?P<verdicts>\d{1,19}-\d{1,19})_(?P<alarms>\d{1,19}-\d{1,19})")
_STREAM = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, **RESPONSES}


@router.get("/v1/events", dependencies=READ, response_class=StreamingResponse, responses=_STREAM)
async def events(
    parts: Given,
    request: Request,
    last_event_id: Annotated[str | None, Header(description="Go on after this one.")] = None,
) -> StreamingResponse:
    """Server-sent events: `verdict`, `alarm` (opened, ended, reviewed) and `state` (of a stream)."""
    place = None
    if last_event_id is not None:
        place = _ID.fullmatch(last_event_id)
        if place is None:
            raise refusal(400, "Last-Event-ID is none of this server's: leave it out.")
    if _Listeners.count >= parts.settings.serve.event_clients:
        raise refusal(503, "Too many listen already (serve.event_clients): try again later.", Retry_After="30")
    cursors = {keys.VERDICTS_KEY: place["verdicts"], keys.ALARM_NEWS_KEY: place["alarms"]} if place else None
    cursors = cursors or {key: await _newest(parts, key) for key in (keys.VERDICTS_KEY, keys.ALARM_NEWS_KEY)}
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_told(parts, request, cursors), media_type="text/event-stream", headers=headers)


class _Listeners:
    """How many there are in this process."""

    count = 0


async def _newest(parts: Parts, key: str) -> str:
    entries: Any = await parts.events.xrevrange(key, count=1)
    return str(entries[0][0].decode()) if entries else "0-0"


async def _told(parts: Parts, request: Request, cursors: dict[str, str]) -> AsyncIterator[str]:
    """The events of one client, until it goes."""
    _Listeners.count += 1
    parts.metrics.event_clients.set(_Listeners.count)
    states: dict[str, str] = {}
    told_at = time.monotonic()
    try:
        yield "retry: 2000\n\n"
        while not await request.is_disconnected() and not request.app.state.over.is_set():
            try:
                said = [event async for event in _fresh(parts, cursors)]
                said += await run_in_threadpool(_changed, parts, states)
            except RedisError:
                said = [": Redis does not answer\n\n"]
                await asyncio.sleep(1.0)
            if said:
                told_at = time.monotonic()
                yield "".join(said)
            elif time.monotonic() - told_at > QUIET_S:
                told_at = time.monotonic()
                yield ": nothing new\n\n"
    finally:
        _Listeners.count -= 1
        parts.metrics.event_clients.set(_Listeners.count)


async def _fresh(parts: Parts, cursors: dict[str, str]) -> AsyncIterator[str]:
    """What is new in both streams; moves the cursors."""
    reply: Any = await parts.events.xread(dict[Any, Any](cursors), count=BATCH, block=BLOCK_MS)
    entries = {key.decode(): found for key, found in reply or []}
    for entry_id, fields in entries.get(keys.VERDICTS_KEY, []):
        cursors[keys.VERDICTS_KEY] = entry_id.decode()
        try:
            verdict = asdict(records.parse_verdict(fields))
        except WireError:
            continue
        yield _event("verdict", {**verdict, "key": fields.get(b"key", b"").decode(errors="replace")}, cursors)
    for entry_id, fields in entries.get(keys.ALARM_NEWS_KEY, []):
        cursors[keys.ALARM_NEWS_KEY] = entry_id.decode()
        alarm = await run_in_threadpool(parts.alarms.get, fields[b"id"].decode())
        if alarm is not None:
            told = AlarmOut.model_validate(alarm).model_dump(mode="json")
            yield _event("alarm", {"what": fields[b"what"].decode(), "alarm": told}, cursors)


def _changed(parts: Parts, states: dict[str, str]) -> list[str]:
    """The states of streams that are not as in `states`, which learns them."""
    said = []
    for name, board in read_boards(parts.redis).items():
        told = {"stream": name, "doing": board.doing, "state": board.state.value, "text": board.text}
        data = json.dumps(told)
        if states.get(name) != data:
            states[name] = data
            said.append(_event("state", told, None))
    return said


def _event(kind: str, data: dict[str, Any], cursors: dict[str, str] | None) -> str:
    where = f"id: {cursors[keys.VERDICTS_KEY]}_{cursors[keys.ALARM_NEWS_KEY]}\n" if cursors else ""
    return f"event: {kind}\n{where}data: {json.dumps(data)}\n\n"
