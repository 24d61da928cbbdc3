"""What the API's replies hold, for /openapi.json."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from dfd_core.queue.alarms import AlarmState, Review
from dfd_core.queue.submitted import BulkState
from dfd_core.types import State


class _Reply(BaseModel):
    """Read from the attributes of records."""

    model_config = ConfigDict(from_attributes=True, protected_namespaces=())


class FileOut(_Reply):
    """A submitted file; `report` once it is done, as `dfd scan --json` has it; `progress` in media seconds."""

    id: str
    name: str
    state: BulkState
    submitted_at_s: float
    size: int
    sha256: str
    model: str
    reason: str | None = None
    progress_s: float | None = None
    duration_s: float | None = None
    label: State | None = None
    fake_probability: float | None = None
    report: dict[str, Any] | None = None


class FilesOut(_Reply):
    """A page of files, newest first; `total` counts all that match."""

    files: list[FileOut]
    total: int
    offset: int


class FaceOut(_Reply):
    """A face that is seen now; times in media seconds."""

    track: int
    state: State
    since_s: float
    time_s: float
    fake_probability: float | None
    checks: dict[str, float | None]


class StreamOut(_Reply):
    """A source and what is thought of it; `doing` is what the source does, `state` what is thought of its faces."""

    name: str
    source: str
    live: bool | None
    doing: str
    state: State
    text: str
    since_s: float | None
    time_s: float | None
    fake_probability: float | None
    fps: float
    latency_s: float | None
    waiting: int
    dropped: dict[str, int]
    reconnects: int
    error: str | None
    heartbeat_at_s: float | None
    faces: list[FaceOut]


class StreamsOut(_Reply):
    """All streams, by name."""

    streams: list[StreamOut]


class AlarmOut(_Reply):
    """An alarm: times in media seconds (`_s`) and Unix seconds (`_at_s`), null while it lasts."""

    id: str
    stream: str
    track: int
    run: str
    state: AlarmState
    since_s: float
    opened_s: float
    opened_at_s: float
    closed_s: float | None
    closed_at_s: float | None
    worst_probability: float | None
    worst_s: float | None
    checks: dict[str, float | None]
    model: str
    review: Review
    note: str
    reviewed_at_s: float | None


class AlarmsOut(_Reply):
    """A page of alarms, newest first; ask again with `offset` + `limit` while as many as `limit` come."""

    alarms: list[AlarmOut]
    offset: int


class WindowOut(_Reply):
    """What one window says of the face, in media seconds."""

    seq: int
    start_s: float
    end_s: float
    fake_probability: float | None
    checks: dict[str, float | None]
    reason: str | None


class AlarmDetail(AlarmOut):
    """An alarm and the windows of its face, from before it opened on."""

    windows: list[WindowOut]


class EvidenceOut(_Reply):
    """The files of a bundle: name to SHA-256."""

    files: dict[str, str]


class ModelOut(_Reply):
    """What scores: `enter` and `exit` are its thresholds; `card` is that of the model which files are submitted for."""

    name: str
    runtime: str | None
    enter: float
    exit: float
    limits: list[str]
    card: dict[str, Any]
