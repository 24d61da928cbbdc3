"""/v1/streams: the sources, and what is thought of their faces."""

from __future__ import annotations

from fastapi import APIRouter

from dfd_core.queue.boards import StreamBoard, read_boards, read_statuses
from dfd_core.types import State, StreamStatus
from workers.serve.parts import READ, Given, Parts
from workers.serve.problems import refusal
from workers.serve.schemas import FaceOut, StreamOut, StreamsOut

router = APIRouter(tags=["streams"])


@router.get("/v1/streams", dependencies=READ)
def find(parts: Given) -> StreamsOut:
    """Every stream that ingest or the monitor tells of."""
    return StreamsOut(streams=streams(parts))


@router.get("/v1/streams/{name}", dependencies=READ)
def get(parts: Given, name: str) -> StreamOut:
    """One stream, and each face that is seen now."""
    found = next((stream for stream in streams(parts) if stream.name == name), None)
    if found is None:
        raise refusal(404, "No stream of that name is known: GET /v1/streams lists them.")
    return found


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
