"""Reads the segments of waiting windows: pixels where they still wait, features where they were scored before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis

from dfd_core.errors import WireError
from dfd_core.queue import arrays, keys
from dfd_core.queue.records import WindowHeader
from dfd_core.types import Segment, SegmentFeatures

Piece = Segment | SegmentFeatures
_Name = tuple[str, str, int]  # stream, run, seq


@dataclass(frozen=True, slots=True, eq=False)
class LoadedWindow:
    """A window as far as Redis still has it.

    `waits` is false when it was settled before; `pieces` are its segments, oldest first, without those that are gone;
    `has_newest` tells whether the newest one, which the window is about, is among them; `error` names damaged bytes.
    """

    header: WindowHeader
    waits: bool
    pieces: tuple[Piece, ...]
    has_newest: bool
    error: str | None = None


def load_windows(redis: Redis, headers: Sequence[WindowHeader]) -> list[LoadedWindow]:
    """The windows of `headers`, read in one transaction; segments that several share are read once."""
    names = list(dict.fromkeys((h.stream, h.run, seq) for h in headers for seq in h.segments))
    with redis.pipeline() as pipe:
        for header in headers:
            pipe.zscore(keys.pending_key(header.stream), header.pending)
        for name in names:  # however much lies there, no more is read than a payload may have
            pipe.getrange(keys.features_key(*name), 0, arrays.MOST_BYTES)
            pipe.getrange(keys.segment_key(*name), 0, arrays.MOST_BYTES)
        replies = pipe.execute()
    scores, stored = replies[: len(headers)], replies[len(headers) :]
    pieces: dict[_Name, Piece | WireError] = {}
    for name, measured, pixels in zip(names, stored[::2], stored[1::2], strict=True):
        if measured or pixels:
            pieces[name] = _unpack(name, measured, pixels)
    return [_window(h, score is not None, pieces) for h, score in zip(headers, scores, strict=True)]


def _unpack(name: _Name, measured: bytes, pixels: bytes) -> Piece | WireError:
    try:
        piece = arrays.unpack_features(measured) if measured else arrays.unpack_segment(pixels)
    except WireError as error:
        return error
    stream, _, seq = name
    if (piece.stream, piece.seq) != (stream, seq):
        return WireError("A payload in Redis is of another segment than its key says.")
    return piece


def _window(header: WindowHeader, waits: bool, pieces: dict[_Name, Piece | WireError]) -> LoadedWindow:
    found = [pieces.get((header.stream, header.run, seq)) for seq in header.segments]
    newest = found[-1]
    return LoadedWindow(
        header=header,
        waits=waits,
        pieces=tuple(piece for piece in found if isinstance(piece, Segment | SegmentFeatures)),
        has_newest=newest is not None,
        error=str(newest) if isinstance(newest, WireError) else None,
    )
