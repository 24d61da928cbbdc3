"""/v1/events: verdicts, alarms and states of streams as they come, by server-sent events.

An event's id is the last entry of both streams in Redis that the client has; a client that comes back with it misses
nothing that Redis still holds. States have no id: who comes is told the current ones.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from redis.exceptions import RedisError

from dfd_core.queue import keys
from workers.serve.feed import Feed, Place
from workers.serve.parts import READ, Given
from workers.serve.problems import RESPONSES, refusal

router = APIRouter(tags=["events"])

LOOK_S = 1.0  # for who has gone
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
    feed: Feed = request.app.state.feed
    if feed.listeners >= parts.settings.serve.event_clients:
        raise refusal(503, "Too many listen already (serve.event_clients): try again later.", Retry_After="30")
    given = {keys.VERDICTS_KEY: place["verdicts"], keys.ALARM_NEWS_KEY: place["alarms"]} if place else None
    since = given or await feed.newest()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_told(feed, request, since), media_type="text/event-stream", headers=headers)


async def _told(feed: Feed, request: Request, since: Place) -> AsyncIterator[str]:
    """The events of one client, until it goes, or falls so far behind that it had better come back."""
    yield "retry: 2000\n\n"
    try:
        await feed.start()
    except RedisError:
        return  # it comes back, with the same Last-Event-ID
    queue, now, states = feed.join()
    told_at = time.monotonic()
    try:
        async for missed in feed.between(since, now):
            yield missed
        yield states
        while not await request.is_disconnected() and not request.app.state.over.is_set():
            try:
                said = await asyncio.wait_for(queue.get(), LOOK_S)
            except TimeoutError:
                said = ": nothing new\n\n" if time.monotonic() - told_at > QUIET_S else ""
            if said is None:
                break
            if said:
                told_at = time.monotonic()
                yield said
    except RedisError:
        yield ": Redis does not answer\n\n"  # it comes back, with the same Last-Event-ID
    finally:
        feed.leave(queue)
