"""Segments and features as raw little-endian bytes behind a magic, a version, a kind and a small JSON header.

No pickle, so that who can write to Redis cannot run code here; no JPEG, which destroys what checks look for.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from dfd_core.errors import WireError
from dfd_core.queue.records import VERSION, build
from dfd_core.types import FaceTrack, Float64Array, Segment, SegmentFeatures

_PREFIX = struct.Struct("<4sBBI")  # magic, version, kind, bytes of the JSON header
_MAGIC = b"dfd\x00"
_SEGMENT, _FEATURES = 1, 2
MOST_BYTES = 256 * 2**20  # of a payload; more is not even read: 8 frames of 6 faces of 900 px are 117 MB
_MOST_HEADER_BYTES = 64 * 1024
_MOST_FRAMES = 4096
_MOST_TRACKS = 512
_MOST_SIDE = 8192  # px of a crop, or columns of features


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


@dataclass(frozen=True, slots=True)
class _Header:
    """What stands before the arrays: `n` frames, and for each track the numbers that its arrays' shapes follow from."""

    stream: str
    seq: int
    captured_at_s: float
    follows: bool
    n: int

    def check(self, sizes: Sequence[int] = (), tracks: int = 0) -> None:
        """WireError for numbers from which no array can be made, or one that is larger than any of ours."""
        if not 1 <= self.n <= _MOST_FRAMES or tracks > _MOST_TRACKS or not all(1 <= s <= _MOST_SIDE for s in sizes):
            raise WireError("A payload in Redis says sizes that no window has.")


@dataclass(frozen=True, slots=True)
class _SegmentHeader(_Header):
    tracks: tuple[tuple[int, int, int, bool], ...]  # id, side in frame px, side of the crops, upright

    def check(self, sizes: Sequence[int] = (), tracks: int = 0) -> None:
        """As above."""
        _Header.check(self, [side for _, _, side, _ in self.tracks], len(self.tracks))


@dataclass(frozen=True, slots=True)
class _FeaturesHeader(_Header):
    tracks: tuple[tuple[int, int], ...]  # id, columns

    def check(self, sizes: Sequence[int] = (), tracks: int = 0) -> None:
        """As above."""
        _Header.check(self, [columns for _, columns in self.tracks], len(self.tracks))


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
    if len(data) > MOST_BYTES:
        raise WireError(f"A payload in Redis is larger than {MOST_BYTES // 2**20} MB: it is not read.")
    _, version, found, size = _PREFIX.unpack_from(data)
    if version != VERSION:
        raise WireError(f"A payload has wire version {version}, not {VERSION}: run one version of dfd everywhere.")
    if found != _KINDS[kind]:
        raise WireError("A payload in Redis is of another kind than its key says.")
    if size > _MOST_HEADER_BYTES:
        raise WireError("A payload in Redis has a header that is too long.")
    try:
        header = json.loads(data[_PREFIX.size : _PREFIX.size + size])
    except (ValueError, RecursionError):
        raise WireError("A payload in Redis has a damaged header.") from None
    built = build(kind, header)
    built.check()
    return built, _Reader(data, _PREFIX.size + size)
