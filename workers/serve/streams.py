"""/v1/streams: the sources, what is thought of their faces, and which are read at all."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from dfd_core.cli.streams import without_secret
from dfd_core.errors import SettingsError
from dfd_core.queue.boards import StreamBoard, read_boards, read_statuses
from dfd_core.queue.streams import Order, StreamRegistry
from dfd_core.streams import read_stream
from dfd_core.types import State, StreamStatus
from workers.serve.parts import OPERATE, READ, Given, Parts
from workers.serve.problems import refusal
from workers.serve.schemas import FaceOut, StreamOut, StreamsOut

router = APIRouter(tags=["streams"])

_NONE = "No stream of that name is known: GET /v1/streams lists them."
_Number = Annotated[float, Field(gt=0)]


class StreamIn(BaseModel):
    """A stream to be read: one of three addresses, and what the table of a stream in a settings file may hold."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,64}$")]
    url: Annotated[str | None, Field(description="Without user, password and query: Redis keeps it.")] = None
    url_env: Annotated[str | None, Field(description="The variable of the ingest's machine that holds the URL.")] = None
    url_file: Annotated[str | None, Field(description="The file there whose first line is the URL.")] = None
    fps: _Number | None = None
    enter: _Number | None = None
    exit: _Number | None = None
    min_duration_s: float | None = None
    cooldown_s: float | None = None
    labels: dict[str, str] | None = None
    live: bool | None = None


class StreamChange(BaseModel):
    """What shall be otherwise."""

    model_config = ConfigDict(extra="forbid")

    paused: bool


@router.get("/v1/streams", dependencies=READ)
def find(parts: Given) -> StreamsOut:
    """Every stream that ingest or the monitor tells of."""
    return StreamsOut(streams=streams(parts))


@router.get("/v1/streams/{name}", dependencies=READ)
def get(parts: Given, name: str) -> StreamOut:
    """One stream, and each face that is seen now."""
    found = next((stream for stream in streams(parts) if stream.name == name), None)
    if found is None:
        raise refusal(404, _NONE)
    return found


@router.post("/v1/streams", status_code=202, dependencies=OPERATE)
def add(parts: Given, wish: StreamIn) -> dict[str, str]:
    """Wish for a stream: an ingest without sources of its own takes it, as after `dfd streams add`."""
    table: dict[str, object] = wish.model_dump(exclude={"name"}, exclude_none=True)
    try:
        spec = without_secret(read_stream(wish.name, table, parts.settings, "the request"))
    except SettingsError as error:
        raise refusal(422, str(error)) from None
    try:
        StreamRegistry(parts.redis).add(spec)
    except SettingsError as error:
        raise refusal(409, str(error)) from None
    return {"name": wish.name}


@router.patch("/v1/streams/{name}", status_code=202, dependencies=OPERATE)
def change(parts: Given, name: str, change: StreamChange) -> dict[str, str]:
    """Pause a stream, or go on reading it."""
    return _order(parts, name, Order.PAUSED if change.paused else None)


@router.delete("/v1/streams/{name}", status_code=204, dependencies=OPERATE)
def remove(parts: Given, name: str) -> Response:
    """Read it no more."""
    _order(parts, name, Order.REMOVED)
    return Response(status_code=204)


def _order(parts: Parts, name: str, order: Order | None) -> dict[str, str]:
    registry = StreamRegistry(parts.redis)
    if name not in registry.look().specs:
        raise refusal(404, "No stream of that name is wished for: one that a command line named cannot be changed.")
    registry.order(name, order)
    return {"name": name}


def streams(parts: Parts) -> list[StreamOut]:
    """All of them, by name."""
    statuses, boards = read_statuses(parts.redis), read_boards(parts.redis)
    return [_stream(name, statuses.get(name), boards.get(name)) for name in sorted({*statuses, *boards})]


def _stream(name: str, status: StreamStatus | None, board: StreamBoard | None) -> StreamOut:
    faces = [] if board is None else [FaceOut.model_validate(face) for face in board.faces]
    worst = max(faces, key=lambda face: list(State).index(face.state), default=None)
    return StreamOut(
        name=name,
        source="" if status is None else status.source,
        live=None if status is None else status.live,
        doing=board.doing if board is not None else "" if status is None else status.state.value,
        state=State.UNKNOWN if board is None else board.state,
        text="" if board is None else board.text,
        since_s=None if worst is None else worst.since_s,
        time_s=None if board is None else board.time_s,
        fake_probability=None if board is None else board.fake_probability,
        fps=0.0 if status is None else status.fps,
        latency_s=None if board is None else board.latency_s,
        waiting=0 if board is None else board.waiting,
        dropped={} if status is None else status.dropped,
        reconnects=0 if status is None else status.reconnects,
        error=None if status is None else status.error,
        heartbeat_at_s=None if status is None else status.heartbeat_at_s,
        faces=faces,
    )
