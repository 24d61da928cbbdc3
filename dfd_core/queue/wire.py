"""Records to bytes and back, and the names of everything that dfd keeps in Redis.

    dfd:segment:{stream}:{run}:{seq}    pixels of one segment; TTL; gone as soon as its window is scored
    dfd:features:{stream}:{run}:{seq}   what the checks measured in one segment; TTL; older segments of later windows
    dfd:pending:{stream}                sorted set of the windows that wait: `{run}:{seq}:{bytes}` by Unix time
    dfd:streams                         hash: stream -> JSON of StreamStatus, renewed each second by ingest
    dfd:model                           JSON of ModelInfo, written by each worker that starts
    dfd:results                         capped stream of JSON events: WindowEvent and EndEvent
    dfd:verdicts                        capped stream of JSON verdicts
    dfd:monitor                         hash: where the monitor goes on after a restart (its own business)
    dfd-live, dfd-file                  the RQ queues; jobs carry a WindowHeader as JSON
    dfd-bulk                            the RQ queue of whole files; jobs carry a BulkFile as JSON
    dfd:bulk:ids                        set: the ids of all files that were submitted and not cancelled
    dfd:bulk:files                      hash: key of a file, content and manifest row -> JSON of BulkFile
    dfd:bulk:reports                    hash: id -> JSON report; one a file, whoever comes first
    dfd:bulk:pictures                   hash: id -> JSON, worst frames of a file that was found fake
    dfd:bulk:progress                   hash: id -> JSON of Progress, while a worker is at it
    dfd:bulk:upload:{id}                content of a file that no worker can open; TTL; gone with its report

Arrays are raw little-endian bytes behind a magic, a version, a kind and a small JSON header: no pickle, so that who can
write to Redis cannot run code here. `run` is a short random id of one start of one source: `seq` counts from 0 in it.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

import msgspec
import numpy as np

from dfd_core.errors import WireError
from dfd_core.names import utf8
from dfd_core.types import (
    EndEvent,
    FaceTrack,
    Float64Array,
    ModelInfo,
    Segment,
    SegmentFeatures,
    StreamStatus,
    Verdict,
    WindowEvent,
)

VERSION = 3
STREAMS_KEY = "dfd:streams"
MODEL_KEY = "dfd:model"
RESULTS_KEY = "dfd:results"
VERDICTS_KEY = "dfd:verdicts"
MONITOR_KEY = "dfd:monitor"
RESULTS_CAP = 20_000  # entries; about 10 MB
VERDICTS_CAP = 10_000
LIVE_QUEUE = "dfd-live"
FILE_QUEUE = "dfd-file"
JOB_FUNCTION = "workers.windows.jobs.score_window"
FAILURE_FUNCTION = "workers.windows.jobs.window_failed"
BULK_QUEUE = "dfd-bulk"
BULK_FUNCTION = "workers.bulk.jobs.scan"
BULK_FAILURE_FUNCTION = "workers.bulk.jobs.scan_failed"
BULK_IDS_KEY = "dfd:bulk:ids"
BULK_FILES_KEY = "dfd:bulk:files"
BULK_REPORTS_KEY = "dfd:bulk:reports"
BULK_PICTURES_KEY = "dfd:bulk:pictures"
BULK_PROGRESS_KEY = "dfd:bulk:progress"
BULK_BACKOFF_S = (5, 30, 120)  # before each further attempt at a file
RETRIES = 2  # of a window whose worker died or whose scoring raised

_PREFIX = struct.Struct("<4sBBI")  # magic, version, kind, bytes of the JSON header
_MAGIC = b"dfd\x00"
_SEGMENT, _FEATURES = 1, 2
_Record = TypeVar("_Record")


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


def segment_key(stream: str, run: str, seq: int) -> str:
    """Key of a segment's pixels."""
    return f"dfd:segment:{stream}:{run}:{seq}"


def features_key(stream: str, run: str, seq: int) -> str:
    """Key of a segment's features."""
    return f"dfd:features:{stream}:{run}:{seq}"


def pending_key(stream: str) -> str:
    """Key of the sorted set of windows that wait for a worker."""
    return f"dfd:pending:{stream}"


def job_id(stream: str, run: str, seq: int) -> str:
    """RQ job id of a window: letters, digits, '-' and '_' only."""
    return f"{stream}-{run}-{seq}"


def upload_key(bulk_id: str) -> str:
    """Key of an uploaded file's content, by the id that content and model give it."""
    return f"dfd:bulk:upload:{bulk_id}"


def parse_pending(member: bytes | str) -> Pending:
    """The window that a member of a pending set names; WireError for a foreign one."""
    text = member.decode(errors="replace") if isinstance(member, bytes) else member
    try:
        run, seq, size = text.split(":")
        return Pending(run, int(seq), int(size))
    except ValueError:
        raise WireError(f"'{text}' is not a waiting window of dfd.") from None


def pack_segment(segment: Segment) -> bytes:
    """Bytes of a segment, crops uncompressed."""
    tracks = [[track.id, track.side, track.crops.shape[1], track.upright] for track in segment.tracks]
    unknown = np.full(len(segment.times_s), np.nan, np.float32)
    arrays = [
        array
        for t in segment.tracks
        for array in (t.boxes, t.landmarks, t.crops, unknown if t.quantisers is None else t.quantisers)
    ]
    return _pack(_SEGMENT, segment, tracks, arrays)


def unpack_segment(data: bytes) -> Segment:
    """The segment in `data`, its arrays read-only views; WireError if it is foreign, torn or of another version."""
    header, reader = _unpack(_SegmentHeader, data)
    n = header.n
    times = reader.times(n)
    tracks = [
        FaceTrack(
            id=track,
            boxes=reader.take("<f4", (n, 4)),
            landmarks=reader.take("<f4", (n, 6, 2)),
            crops=reader.take("|u1", (n, side, side, 3)),
            side=frame_side,
            quantisers=reader.take("<f4", (n,)),
            upright=upright,
        )
        for track, frame_side, side, upright in header.tracks
    ]
    return Segment(header.stream, header.seq, times, header.captured_at_s, tuple(tracks), header.follows)


def pack_features(features: SegmentFeatures) -> bytes:
    """Bytes of a segment's features."""
    tracks = [[track, values.shape[1]] for track, values in features.tracks.items()]
    return _pack(_FEATURES, features, tracks, list(features.tracks.values()))


def unpack_features(data: bytes) -> SegmentFeatures:
    """The features in `data`; WireError as in `unpack_segment`."""
    header, reader = _unpack(_FeaturesHeader, data)
    times = reader.times(header.n)
    return SegmentFeatures(
        stream=header.stream,
        seq=header.seq,
        times_s=times,
        tracks={track: reader.take("<f4", (header.n, width)) for track, width in header.tracks},
        follows=header.follows,
        captured_at_s=header.captured_at_s,
    )


def header_json(header: WindowHeader) -> dict[str, Any]:
    """The keyword argument `header` of a window's RQ job."""
    return {"v": VERSION, **asdict(header)}


def parse_header(data: object) -> WindowHeader:
    """The header in a job's keyword argument; WireError if it is not one of this version."""
    header = build(WindowHeader, versioned(data))
    if not header.segments or utf8(header.stream + header.run) != header.stream + header.run:
        raise WireError("A window in Redis has no segment, or a stream whose name is no text.")
    return header


def event_fields(event: WindowEvent | EndEvent) -> dict[str, str]:
    """Fields for XADD on `dfd:results`."""
    return {"event": dumps({"kind": "window" if isinstance(event, WindowEvent) else "end", **asdict(event)})}


def parse_event(entry: Mapping[bytes, bytes]) -> WindowEvent | EndEvent:
    """The event in an entry of `dfd:results`; WireError for a foreign one or another version."""
    data = loads(entry.get(b"event", b""))
    kind = data.pop("kind", None)
    if kind not in ("end", "window"):
        raise WireError("An entry of dfd:results is not an event of dfd.")
    return build(EndEvent, data) if kind == "end" else build(WindowEvent, data)


def verdict_fields(verdict: Verdict) -> dict[str, str]:
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


@dataclass(frozen=True, slots=True)
class _Header:
    """What stands before the arrays: `n` frames, and for each track the numbers that its arrays' shapes follow from."""

    stream: str
    seq: int
    captured_at_s: float
    follows: bool
    n: int


@dataclass(frozen=True, slots=True)
class _SegmentHeader(_Header):
    tracks: tuple[tuple[int, int, int, bool], ...]  # id, side in frame px, side of the crops, upright


@dataclass(frozen=True, slots=True)
class _FeaturesHeader(_Header):
    tracks: tuple[tuple[int, int], ...]  # id, columns


_KINDS: dict[type[_Header], int] = {_SegmentHeader: _SEGMENT, _FeaturesHeader: _FEATURES}
_AnyHeader = TypeVar("_AnyHeader", bound=_Header)


class _Reader:
    """Takes arrays off the front of a buffer."""

    def __init__(self, data: bytes, offset: int) -> None:
        self._data, self._offset = data, offset

    def take(self, dtype: str, shape: tuple[int, ...]) -> Any:
        count = math.prod(shape)
        end = self._offset + count * np.dtype(dtype).itemsize
        if min(shape) < 0 or max(shape) > len(self._data) or end > len(self._data):
            raise WireError("A payload in Redis is shorter than its header says; it was cut off.")
        array = np.frombuffer(self._data, dtype, count, self._offset).reshape(shape)
        self._offset = end
        return array

    def times(self, n: int) -> Float64Array:
        """Media seconds of `n` frames, at least one; float64 (n,)."""
        times: Float64Array = self.take("<f8", (n,))
        if not n or not np.isfinite(times).all():
            raise WireError("A payload in Redis has no frame, or one without a time.")
        return times


def _pack(kind: int, record: Segment | SegmentFeatures, tracks: Sequence[Sequence[int]], arrays: list[Any]) -> bytes:
    header = json.dumps(
        {
            "stream": record.stream,
            "seq": record.seq,
            "captured_at_s": record.captured_at_s,
            "follows": record.follows,
            "n": len(record.times_s),
            "tracks": tracks,
        }
    ).encode()
    prefix = _PREFIX.pack(_MAGIC, VERSION, kind, len(header))
    return b"".join([prefix, header, *(np.ascontiguousarray(a).tobytes() for a in [record.times_s, *arrays])])


def _unpack(kind: type[_AnyHeader], data: bytes) -> tuple[_AnyHeader, _Reader]:
    if len(data) < _PREFIX.size or data[:4] != _MAGIC:
        raise WireError("A payload in Redis was not written by dfd.")
    _, version, found, size = _PREFIX.unpack_from(data)
    if version != VERSION:
        raise WireError(f"A payload has wire version {version}, not {VERSION}: run one version of dfd everywhere.")
    if found != _KINDS[kind]:
        raise WireError("A payload in Redis is of another kind than its key says.")
    try:
        header = json.loads(data[_PREFIX.size : _PREFIX.size + size])
    except (ValueError, RecursionError):
        raise WireError("A payload in Redis has a damaged header.") from None
    return build(kind, header), _Reader(data, _PREFIX.size + size)


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


def build(cls: type[_Record], data: object) -> _Record:
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
