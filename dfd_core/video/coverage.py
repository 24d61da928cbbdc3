"""How much of a file was read: what its pictures cover of the time that it says to hold."""

from __future__ import annotations

import heapq
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from dfd_core.video.opening import length_of, start_of

ENOUGH = 0.9  # of a file; what was read of less is told as a part
_MOST_LOST_S = 10.0  # of a file of any length
_ROUNDING_S = 0.002
_GAP_STEPS = 2.5  # between pictures that follow each other there is less
_TAIL_S = 0.5  # sound may last longer than the picture, and headers are rounded
_BACK_S = 1.0  # a jump back by more is a stream that begins anew
_HOLE = 64 * 1024  # bytes between packets in which there should have been some
_LENGTH_IN_HEADER = ("mov", "matroska", "avi", "flv", "asf")  # of others FFmpeg guesses it
_INDEXED = ("mov", "avi")  # their packets come even where their bytes are gone


class Coverage:
    """Counts what is lost between pictures, from what came for that time and gave none.

    Long pauses between pictures are no loss by themselves: recordings of screens have them.
    """

    def __init__(self, container: InputContainer, video: VideoStream) -> None:
        self._video = video
        self._kind = container.format.name.split(",")[0]
        self._size = container.size
        self._step_s = float(1 / (video.average_rate or video.guessed_rate or 25))
        self._declared_s = _declared_end_s(container, video)
        self._waiting: list[float] = []  # times of packets whose pictures have not come
        self._packets_end_s = self._others_end_s = 0.0
        self._bytes_end = 0
        self._damaged = self._restarted = False
        self._last_s: float | None = None
        self._first_s = self._spent_s = self._lost_s = 0.0
        self._begins_whole: bool | None = None  # recordings of broadcasts begin between two key frames

    def damage(self) -> None:
        """Something could not be decoded."""
        self._damaged = True

    def packet(self, packet: Packet[Any]) -> None:
        """A packet of any stream came."""
        if packet.pts is not None and packet.time_base:
            start_s = float(packet.pts * packet.time_base)
            end_s = start_s + float((packet.duration or 0) * packet.time_base)
            if packet.stream_index == self._video.index:
                heapq.heappush(self._waiting, start_s)
                if self._begins_whole is None:
                    self._begins_whole = bool(packet.is_keyframe)
                self._packets_end_s = max(self._packets_end_s, end_s)
            else:
                self._others_end_s = max(self._others_end_s, end_s)
        self._damaged |= bool(packet.is_corrupt)
        if packet.pos is not None and packet.pos >= 0:
            hole = packet.pos - self._bytes_end
            self._damaged |= bool(self._bytes_end and hole > _HOLE and self._kind not in _INDEXED)
            self._bytes_end = max(self._bytes_end, packet.pos + packet.size)

    def picture(self, time_s: float) -> None:
        """A whole picture came."""
        passed, earliest_s = 0, self._waiting[0] if self._waiting else time_s
        while self._waiting and self._waiting[0] < time_s - _ROUNDING_S:
            packet_s = heapq.heappop(self._waiting)
            passed += self._last_s is None or packet_s > self._last_s + _ROUNDING_S
        if self._last_s is None:
            self._first_s = time_s
            if self._begins_whole and passed > _GAP_STEPS:
                self._spent_s = self._lost_s = time_s - earliest_s
        elif time_s < self._last_s - _BACK_S:
            self._restarted, self._waiting = True, []
        else:
            gap_s = max(0.0, time_s - self._last_s)
            self._spent_s += gap_s
            if gap_s > _GAP_STEPS * self._step_s and (self._damaged or passed > _GAP_STEPS):
                self._lost_s += gap_s - self._step_s
        self._last_s = time_s

    def result(self) -> tuple[float, float, bool]:
        """Seconds that were read, seconds that there are, and whether what was read is all from the beginning on."""
        if self._last_s is None:
            return 0.0, 0.0, True
        read_s = self._spent_s + self._step_s
        tail_s = self._tail_s(self._last_s + self._step_s)
        return read_s - self._lost_s, read_s + tail_s, self._lost_s < _TAIL_S

    def _tail_s(self, end_s: float) -> float:
        """What is missing after the last picture."""
        if self._restarted:
            return 0.0
        until_s = self._packets_end_s
        if self._declared_s is not None and self._others_end_s < self._declared_s - _TAIL_S:
            until_s = max(until_s, self._declared_s)
        elif self._kind not in _LENGTH_IN_HEADER and self._bytes_end and self._size > 0:
            beyond = self._size - self._bytes_end
            if beyond > (1 - ENOUGH) * self._size:
                until_s = max(until_s, self._first_s + (end_s - self._first_s) * self._size / self._bytes_end)
        return until_s - end_s if until_s - end_s > _TAIL_S else 0.0


def is_partial(read_s: float, of_s: float) -> bool:
    """Whether so little of a file was read that its verdict must say so."""
    return of_s - read_s > min((1 - ENOUGH) * of_s, _MOST_LOST_S)


def _declared_end_s(container: InputContainer, video: VideoStream) -> float | None:
    """When the picture ends, as the headers say, in seconds of the container's clock."""
    if container.format.name.split(",")[0] not in _LENGTH_IN_HEADER:
        return None
    length_s = length_of(video)
    if length_s is not None:
        return start_of(video) + length_s
    if container.duration is None:
        return None
    return float(((container.start_time or 0) + container.duration) / av.time_base)
