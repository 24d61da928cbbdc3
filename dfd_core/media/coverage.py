"""How much of a file was read: what its pictures cover of the time that it says to hold."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, replace
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from dfd_core.media.endings import LEAST_HOLE, TELL_LENGTH, lacks_end, told_size
from dfd_core.media.opening import length_of, start_of

ENOUGH = 0.9  # of a file; what was read of less is told as a part
_MOST_LOST_S = 10.0  # of a file of any length
_ROUNDING_S = 0.002
_GAP_STEPS = 2.5  # between pictures that follow each other there is less
_MISSING_STEPS = 1.5  # from here on a picture is missing where something is known to be gone
_UNEVEN = 0.02  # so small a share of other steps has a film that makes no pauses
_LEAST_TAIL_S = 0.25
_TAIL_SHARE = 0.05  # of what was read, but at most:
_TAIL_S = 0.5  # sound may last longer than the picture, and headers are rounded
_BACK_S = 1.0  # a jump back by more is a stream that begins anew
_HOLE = 64 * 1024  # bytes between packets in which there should have been some
_LEAST_HEAD = 4096  # bytes before the first packet, if that comes late: headers seldom are longer
_TS_PACKETS = (188, 192, 204)  # bytes
_BROADCAST = ("mpegts", "mpeg")  # recordings of these begin between two key frames
_INDEXED = ("mov", "avi")  # their packets come even where their bytes are gone
_IN_SEGMENTS = ("hls", "dash")  # their lists tell the length, which may be rounded for each segment
_HEADERS = {"matroska": 80, "flv": 48}  # bytes at most between two packets of containers that pack them close


@dataclass(frozen=True, slots=True)
class Reach:
    """Seconds of pictures that were read, of those that there are (None: cut off, and it is not known where)."""

    read_s: float
    of_s: float | None
    from_the_start: bool  # what was read has no gap

    @property
    def partial(self) -> bool:
        """Whether so little was read that the verdict must say so."""
        return self.of_s is None or self.of_s - self.read_s > min((1 - ENOUGH) * self.of_s, _MOST_LOST_S)


class Coverage:
    """Counts what is lost between pictures, from what came for that time and gave none.

    Long pauses between pictures are no loss by themselves: recordings of screens have them.
    """

    def __init__(self, container: InputContainer, video: VideoStream) -> None:
        self._index = video.index
        self._ticks_s: dict[int, float] = {}
        self._kind = container.format.name.split(",")[0]
        self._size = container.size
        self._attached = len(container.streams) > len(container.streams.video) + len(container.streams.audio)
        self._lacks_trailer, self._told_size = lacks_end(container), told_size(container)
        self._step_s = float(1 / (video.average_rate or video.guessed_rate or 25))
        self._declared_s = _declared_end_s(container, video)
        says_length = self._kind in TELL_LENGTH and length_of(video) is not None
        self._least_tail_s = 0.0 if says_length else _LEAST_TAIL_S
        self._waiting: list[float] = []  # times of packets whose pictures have not come
        self._packets_end_s = self._others_end_s = 0.0
        self._earliest_s = math.inf
        self._last_packet_s = 0.0, 0.0  # when it begins and ends
        self._bytes_start: int | None = None
        self._bytes_end = 0
        self._block: tuple[int, int] | None = None  # where the last packet of pictures or sound began and ended
        self._packet_s = -math.inf
        self._tears: list[tuple[float, float]] = []  # times of the packets around bytes that are gone
        self._is_tearing = self._is_adrift = False  # after a tear Matroska's times are wrong up to the next cluster
        self._begins_whole: bool | None = None
        self._damaged = self._told_size > self._size > 0
        self._restarted = self._ends_in_damage = self._breaks_off = False
        self._last_s: float | None = None
        self._first_s = self._spent_s = self._lost_s = 0.0
        self._pictures = self._keys = self._uneven = self._pauses = 0
        self._group = self._longest_group = 0  # pictures from a key frame to the next
        self._pauses_s = 0.0
        self._home: tuple[float, float, float, int, float] | None = None  # last time and sums before a leap of times

    def damage(self) -> None:
        """Something could not be decoded."""
        self._damaged = self._ends_in_damage = True

    def packet(self, packet: Packet[Any]) -> None:
        """A packet of any stream came."""
        if not packet.size:
            return
        index = packet.stream_index
        ours = index == self._index
        self._place(packet)
        if packet.pts is not None and not packet.is_discard:  # by an edit list
            tick_s = self._ticks_s.get(index)
            if tick_s is None:  # a fraction, which takes long to multiply
                tick_s = self._ticks_s[index] = float(packet.time_base or 0)
            start_s = packet.pts * tick_s
            self._earliest_s = min(self._earliest_s, start_s)
            end_s = start_s + (packet.duration or 0) * tick_s
            if ours:
                heapq.heappush(self._waiting, start_s)
                if start_s + self._step_s > self._packets_end_s:
                    self._packets_end_s, self._last_packet_s = start_s + self._step_s, (start_s, end_s)
                if self._is_tearing:
                    self._tears.append((self._packet_s, start_s))
                    self._is_adrift = True
                self._packet_s, self._is_tearing = start_s, False
            else:
                self._others_end_s = max(self._others_end_s, end_s)
        if ours:
            if self._begins_whole is None:
                self._begins_whole = bool(packet.is_keyframe) or self._kind not in _BROADCAST
            self._breaks_off = bool(packet.is_corrupt)
        self._damaged |= bool(packet.is_corrupt)

    def _place(self, packet: Packet[Any]) -> None:
        """Where its bytes are in the file; what lies between packets is none of ours, unless it is much."""
        if packet.pos is None or packet.pos < 0:
            return
        if self._bytes_start is None:
            self._bytes_start = self._bytes_end = packet.pos
        self._damaged |= packet.pos - self._bytes_end > _HOLE and self._kind not in _INDEXED
        self._bytes_end = max(self._bytes_end, packet.pos + packet.size)
        if self._kind in _HEADERS:
            self._fit(packet, packet.pos, _HEADERS[self._kind])

    def _fit(self, packet: Packet[Any], start: int, header: int) -> None:
        """Whether a packet's bytes follow those of the one before it; subtitles may be stored compressed."""
        if packet.stream.type not in ("video", "audio"):
            self._block = None
        elif self._block is not None and start == self._block[0]:  # several packets in one block
            self._block = start, self._block[1] + packet.size
        else:
            self._is_tearing |= self._block is not None and not -header < start - self._block[1] < header
            self._block = start, start + packet.size

    def picture(self, time_s: float, is_key: bool) -> None:
        """A whole picture came; one that `is_key` needs none before it."""
        if self._last_s is not None and abs(time_s - self._last_s) > _BACK_S:
            self._leap(time_s)
        passed, earliest_s = 0, min([time_s, *self._waiting[:1]])
        while self._waiting and self._waiting[0] < time_s - _ROUNDING_S:
            packet_s = heapq.heappop(self._waiting)
            passed += self._last_s is None or packet_s > self._last_s + _ROUNDING_S
        if self._last_s is None:
            self._first_s = time_s
            if self._begins_whole and (passed > _GAP_STEPS or (self._damaged and passed)):
                self._spent_s = self._lost_s = time_s - earliest_s
        elif time_s < self._last_s - _BACK_S:
            self._restarted, self._waiting = True, []
        else:
            gap_s = max(0.0, time_s - self._last_s)
            self._spent_s += gap_s
            if gap_s > _MISSING_STEPS * self._step_s:
                self._gap(self._last_s, time_s, passed, is_key)
            self._uneven += not 0.5 < gap_s / self._step_s < 1.5
        if is_key:
            self._longest_group, self._group = max(self._longest_group, self._group), 0
        self._group += 1
        self._pictures, self._keys, self._ends_in_damage = self._pictures + 1, self._keys + is_key, False
        self._last_s = time_s

    def _leap(self, time_s: float) -> None:
        """Times leap; where they come back, what was stamped otherwise counts for nothing, nor do headers."""
        if self._home is not None and 0 < time_s - self._home[0] <= 2 * _BACK_S:
            self._last_s, self._spent_s, self._lost_s, self._pauses, self._pauses_s = self._home
            self._restarted, self._home = True, None
        elif self._last_s is not None:
            self._home = self._last_s, self._spent_s, self._lost_s, self._pauses, self._pauses_s

    def _gap(self, start_s: float, end_s: float, passed: int, is_key: bool) -> None:
        """Lost, if packets came for it, their bytes are gone, or something is damaged.

        If a key frame ends it that was not due, a piece of the film may be gone. Whether that is so shows in the end:
        recordings that pause by themselves seldom go on with a key frame.
        """
        self._tears = [tear for tear in self._tears if max(tear) > start_s + _ROUNDING_S]
        torn = any(min(tear) < end_s - _ROUNDING_S for tear in self._tears)
        missing_s, is_long = end_s - start_s - self._step_s, end_s - start_s > _GAP_STEPS * self._step_s
        torn |= self._is_adrift and is_long and is_key
        if torn or self._ends_in_damage or passed > _GAP_STEPS or (self._damaged and (is_long or passed)):
            self._lost_s, self._is_adrift = self._lost_s + missing_s, self._is_adrift and not is_key
        elif is_long and is_key and self._group != self._longest_group and self._kind not in _INDEXED:
            self._pauses, self._pauses_s = self._pauses + 1, self._pauses_s + missing_s

    @property
    def is_picture(self) -> bool:
        """Whether one picture was all that came."""
        return self._pictures == 1

    def result(self) -> Reach:
        """How far it was read."""
        if self._last_s is None:
            return Reach(0.0, 0.0, True)
        spent_s = self._spent_s + self._step_s
        tail_s, head_s = self._tail_s(self._last_s + self._step_s), self._head_s(spent_s)
        keys_tell = self._keys <= self._pictures / 2  # where every picture is one, each pause ends with one
        if keys_tell and self._uneven - self._pauses <= _UNEVEN * self._pictures:
            self._lost_s, self._pauses_s = self._lost_s + self._pauses_s, 0.0
        reach = Reach(spent_s - self._lost_s, spent_s + head_s + tail_s, self._lost_s + head_s < _TAIL_S)
        return replace(reach, of_s=None) if self._is_torn() and not reach.partial else reach

    def _is_torn(self) -> bool:
        """Whether a stream that does not say how long it is breaks off: within a packet, as no recorder ends one."""
        if self._kind == "mpegts":
            return all(self._size % length for length in _TS_PACKETS)
        breaks_off = self._kind not in TELL_LENGTH and (self._ends_in_damage or self._breaks_off)
        return breaks_off or self._lacks_trailer

    def _head_s(self, spent_s: float) -> float:
        """What is missing before the first packet, by the bytes there."""
        head, begins_late = self._bytes_start or 0, self._earliest_s > _GAP_STEPS * self._step_s
        least = _LEAST_HEAD if begins_late and self._kind in _HEADERS else _HOLE
        if self._kind in _INDEXED or self._attached or head < max(least, (1 - ENOUGH) * self._size):
            return 0.0
        return spent_s * head / max(1, self._size - head)

    def _tail_s(self, end_s: float) -> float:
        """What is missing after the last picture."""
        if self._restarted:
            return 0.0
        until_s, slack_s = self._packets_end_s, self._slack_s(end_s)
        if self._last_packet_s[0] < end_s - _ROUNDING_S:  # it was shown, and may be shown for long
            end_s = max(end_s, min(self._last_packet_s[1], self._declared_s or math.inf))
        if self._declared_s is not None and self._others_end_s < self._declared_s - slack_s:
            until_s = max(until_s, self._declared_s)
        elif self._told_size > self._size > 0 and not self._lost_s:
            until_s = max(until_s, self._first_s + (end_s - self._first_s) * self._told_size / self._size)
        elif self._kind not in TELL_LENGTH and self._bytes_end and self._size > 0:
            beyond = self._size - self._bytes_end
            if beyond > max(LEAST_HOLE, (1 - ENOUGH) * self._size):
                until_s = max(until_s, self._first_s + (end_s - self._first_s) * self._size / self._bytes_end)
        return until_s - end_s if until_s - end_s > slack_s else 0.0

    def _slack_s(self, end_s: float) -> float:
        """What may be missing at the end of a whole file."""
        if self._kind in _IN_SEGMENTS:
            return (1 - ENOUGH) * (self._declared_s or 0.0)
        if self._ends_in_damage or self._breaks_off:
            return _MISSING_STEPS * self._step_s
        return min(_TAIL_S, max(self._least_tail_s, _GAP_STEPS * self._step_s, _TAIL_SHARE * (end_s - self._first_s)))


def _declared_end_s(container: InputContainer, video: VideoStream) -> float | None:
    """When the picture ends, as the headers say, in seconds of the container's clock."""
    if container.format.name.split(",")[0] not in (*TELL_LENGTH, *_IN_SEGMENTS):
        return None
    length_s = length_of(video)
    if container.format.name == "avi" and video.frames and video.average_rate:  # FFmpeg shortens what is cut off
        length_s = max(length_s or 0.0, video.frames / float(video.average_rate))
    if length_s is not None:
        return start_of(video) + length_s
    if container.duration is None:
        return None
    return float(((container.start_time or 0) + container.duration) / av.time_base)
