"""The records in Redis that hold no arrays: JSON of one version, checked field by field when it is read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

import msgspec

from dfd_core.errors import WireError
from dfd_core.names import utf8
from dfd_core.types import EndEvent, ModelInfo, StreamStatus, Verdict, WindowEvent

VERSION = 3  # of records and arrays
MOST_SEGMENTS = 1024  # of a window
Record = TypeVar("Record")
Fields = dict[Any, Any]  # of str: as redis types what XADD takes


@dataclass(frozen=True, slots=True)
class WindowHeader:
    """What an RQ job carries: `segments` are the seqs, oldest first, `size` the bytes of the newest one's pixels."""

    stream: str
    run: str
    seq: int
    segments: tuple[int, ...]
    start_s: float
    end_s: float
    captured_at_s: float
    live: bool
    size: int

    @property
    def pending(self) -> str:
        """Its member in the stream's sorted set of waiting windows."""
        return f"{self.run}:{self.seq}:{self.size}"


@dataclass(frozen=True, slots=True)
class Pending:
    """One waiting window, as `dfd:pending:{stream}` names it; `size` bytes."""

    run: str
    seq: int
    size: int


def parse_pending(member: bytes | str) -> Pending:
    """The window that a member of a pending set names; WireError for a foreign one."""
    text = member.decode(errors="replace") if isinstance(member, bytes) else member
    try:
        run, seq, size = text.split(":")
        return Pending(run, int(seq), int(size))
    except ValueError:
        raise WireError(f"'{text}' is not a waiting window of dfd.") from None


def header_json(header: WindowHeader) -> dict[str, Any]:
    """The keyword argument `header` of a window's RQ job."""
    return {"v": VERSION, **asdict(header)}


def parse_header(data: object) -> WindowHeader:
    """The header in a job's keyword argument; WireError if it is not one of this version."""
    header = build(WindowHeader, versioned(data))
    if len(header.segments) > MOST_SEGMENTS:
        raise WireError(f"A window in Redis has more than {MOST_SEGMENTS} segments.")
    if not header.segments or utf8(header.stream + header.run) != header.stream + header.run:
        raise WireError("A window in Redis has no segment, or a stream whose name is no text.")
    return header


def event_fields(event: WindowEvent | EndEvent) -> Fields:
    """Fields for XADD on `dfd:results`."""
    return {"event": dumps({"kind": "window" if isinstance(event, WindowEvent) else "end", **asdict(event)})}


def parse_event(entry: Mapping[bytes, bytes]) -> WindowEvent | EndEvent:
    """The event in an entry of `dfd:results`; WireError for a foreign one or another version."""
    data = loads(entry.get(b"event", b""))
    kind = data.pop("kind", None)
    if kind not in ("end", "window"):
        raise WireError("An entry of dfd:results is not an event of dfd.")
    return build(EndEvent, data) if kind == "end" else build(WindowEvent, data)


def verdict_fields(verdict: Verdict) -> Fields:
    """Fields for XADD on `dfd:verdicts`."""
    return {"verdict": dumps(asdict(verdict))}


def parse_verdict(entry: Mapping[bytes, bytes]) -> Verdict:
    """The verdict in an entry of `dfd:verdicts`; WireError for a foreign one or another version."""
    return build(Verdict, loads(entry.get(b"verdict", b"")))


def pack_status(status: StreamStatus) -> str:
    """JSON of a stream's status, for the hash `dfd:streams`."""
    return dumps(asdict(status))


def parse_status(data: bytes) -> StreamStatus:
    """The status in a value of `dfd:streams`; WireError for a foreign one or another version."""
    return build(StreamStatus, loads(data))


def pack_model(model: ModelInfo) -> str:
    """JSON of what the workers score with, for `dfd:model`."""
    return dumps(asdict(model))


def parse_model(data: bytes) -> ModelInfo:
    """The model in `dfd:model`; WireError for a foreign one or another version."""
    return build(ModelInfo, loads(data))


def dumps(data: dict[str, Any]) -> str:
    """A record as JSON of this version; WireError for a number that is not finite."""
    try:
        return json.dumps({"v": VERSION, **data}, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise WireError(f"A record for Redis holds a number that is not finite: {error}.") from None


def loads(text: bytes) -> dict[str, Any]:
    """The fields of a JSON record; WireError for a foreign one or another version."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise WireError("A record in Redis is not JSON of dfd.") from None
    return versioned(data)


def versioned(data: object) -> dict[str, Any]:
    """The fields of a record without its version; WireError for another version, or where it is no record."""
    if not isinstance(data, Mapping):
        raise WireError("A record in Redis is not one of dfd.")
    if data.get("v") != VERSION:
        raise WireError(f"A record has wire version {data.get('v')}, not {VERSION}: run one version of dfd everywhere.")
    return {key: value for key, value in data.items() if key != "v"}


def build(cls: type[Record], data: object) -> Record:
    """The record of plain values, each of its field's type; WireError for anything else."""
    try:
        if not _finite(data):
            raise ValueError("a number is not finite")
        return msgspec.convert(data, cls)
    except (ValueError, RecursionError):  # a ValidationError is a ValueError
        known = ", ".join(field.name for field in fields(cls))  # type: ignore[arg-type]
        raise WireError(f"A {cls.__name__.strip('_')} in Redis does not have the fields {known}.") from None


def _finite(data: object) -> bool:
    """Whether all numbers in plain values are: JSON of Python may hold NaN, and ours must not."""
    if isinstance(data, Mapping):
        return all(map(_finite, data.values()))
    if isinstance(data, list | tuple):
        return all(map(_finite, data))
    return not isinstance(data, float) or math.isfinite(data)
