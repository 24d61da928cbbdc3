"""Follows alarms and keeps evidence of each: looks once a second, and never has a verdict wait.

The worst windows' pixels are taken from Redis while they wait there (`dfd_core.queue.kept`). A bundle is written as
soon as an alarm opens, and again when worse windows come or it ends.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from redis import Redis

from dfd_core.checks.appearance import network_input
from dfd_core.checks.views import looks
from dfd_core.errors import WireError
from dfd_core.models.activation import ActivationMap
from dfd_core.models.texture_map import TextureMap
from dfd_core.queue.alarms import Alarm, AlarmBook, AlarmState
from dfd_core.queue.kept import ask_for_pixels, kept_segment
from dfd_core.sections import EvidenceSettings
from dfd_core.types import WindowScore
from workers.evidence.bundle import Evidence, files_of
from workers.evidence.facts import Facts
from workers.evidence.metrics import EvidenceMetrics
from workers.evidence.pictures import Look, Shots
from workers.evidence.places import Shelves

LOOK_S = 1.0  # between two looks
NEWEST = 50  # alarms that are looked at
AGAIN_S = 10.0  # between two bundles of an alarm that lasts
LINGER_S = 2.0  # after its end, for the last windows
LATE_S = 60.0  # an alarm that ended before we came by so much has no pixels left

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Case:
    """An alarm in hand; `missed` are windows whose pixels were gone."""

    alarm: Alarm
    shots: dict[int, Shots] = field(default_factory=dict)
    missed: set[int] = field(default_factory=set)
    changed: bool = True
    due_s: float = 0.0
    ended_s: float | None = None


class Collector:
    """`turn` looks once; `clock` gives seconds that only go forward."""

    def __init__(
        self,
        redis: Redis,
        settings: EvidenceSettings,
        *,
        shelf: Shelves,
        facts: Facts,
        metrics: EvidenceMetrics,
        network: ActivationMap | None = None,
        texture: TextureMap | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis, self._settings, self._shelf, self._facts = redis, settings, shelf, facts
        self._metrics, self._network, self._texture, self._clock = metrics, network, texture, clock
        self._size = facts.card.input.size
        self._book = AlarmBook(redis)
        self._cases: dict[str, _Case] = {}
        self._over: dict[str, None] = {}  # ids that are done with
        self._left = shelf.unfinished()
        self._told_s = float("-inf")

    def turn(self, last: bool = False) -> None:
        """Ask for pixels, take those that came, and write what is due, or, the `last` time, all; RedisError."""
        ask_for_pixels(self._redis, self._settings.from_probability, self._settings.redis_bytes)
        for alarm in self._alarms():
            case = self._cases.get(alarm.id) or self._begin(alarm)
            if case is not None:
                self._follow(case, alarm, last)
        while len(self._over) > 4 * NEWEST:
            del self._over[next(iter(self._over))]
        self._shelf.make_room()
        self._metrics.size.set(self._shelf.size)

    def _alarms(self) -> list[Alarm]:
        """The newest, those in hand, and those whose bundles an earlier process could not finish."""
        found = {alarm.id: alarm for alarm in self._book.find(limit=NEWEST)}
        for name in {*self._cases, *self._left} - found.keys():
            alarm = self._book.get(name)
            if alarm is not None:
                found[name] = alarm
            else:  # Redis knows it no longer
                self._cases.pop(name, None)
                self._left.discard(name)
        return [alarm for alarm in found.values() if alarm.id not in self._over]

    def _begin(self, alarm: Alarm) -> _Case | None:
        """A new case, or one that an earlier process had in hand; None for what is long over."""
        kept = self._shelf.has(alarm.id)
        late = alarm.closed_at_s is not None and time.time() - alarm.closed_at_s > LATE_S
        if alarm.id in self._left and kept:
            self._left.discard(alarm.id)
            try:
                shots = self._shelf.shots(alarm.id, self._book.windows(alarm.id))
            except OSError:
                shots = []
            case = _Case(alarm, {each.score.seq: self._looked(each) for each in shots}, changed=False)
        elif late or kept:
            self._over[alarm.id] = None
            return None
        else:
            case = _Case(alarm)
        return self._cases.setdefault(alarm.id, case)

    def _follow(self, case: _Case, alarm: Alarm, last: bool) -> None:
        now_s = self._clock()
        if alarm.state is AlarmState.ENDED and case.ended_s is None:
            case.ended_s, case.changed = now_s, True
        case.alarm = alarm
        windows = self._book.windows(alarm.id)
        case.changed |= self._take(case, windows)
        over = case.ended_s is not None and now_s >= case.ended_s + LINGER_S
        if windows and (over or (case.changed and (last or now_s >= case.due_s))):
            case.changed, case.due_s = False, now_s + AGAIN_S
            self._write(case, windows)
        if over:
            del self._cases[alarm.id]
            self._over[alarm.id] = None

    def _take(self, case: _Case, windows: list[WindowScore]) -> bool:
        """Hold the worst windows whose pixels there are; whether they are others than before."""
        held: dict[int, Shots] = {}
        for score in sorted(windows, key=lambda score: -(score.fake_probability or 0.0)):
            if len(held) == self._settings.windows:
                break
            if score.fake_probability is None or score.seq in case.missed:
                continue
            shots = case.shots.get(score.seq) or self._shots(case.alarm, score)
            if shots is None:
                case.missed.add(score.seq)
            else:
                held[score.seq] = shots
        changed = held.keys() != case.shots.keys()
        case.shots = held
        return changed

    def _shots(self, alarm: Alarm, score: WindowScore) -> Shots | None:
        try:
            segment = kept_segment(self._redis, alarm.stream, alarm.run, score.seq)
        except WireError as error:
            log.warning("Evidence of %s: %s", alarm.stream, error)
            return None
        track = None if segment is None else next((t for t in segment.tracks if t.id == alarm.track), None)
        if segment is None or track is None or not track.present.any():
            return None
        return self._looked(Shots(score, segment.times_s.copy(), track.present, track.crops.copy()))

    def _looked(self, shots: Shots) -> Shots:
        """With what the networks saw in them."""
        if self._network is not None:
            maps, logits = self._network.look(np.stack([network_input(crop, self._size) for crop in shots.crops]))
            shots = replace(shots, maps=maps, logits=logits)
        return replace(shots, looks=tuple(self._looks(shots)))

    def _looks(self, shots: Shots) -> Iterator[Look]:
        """Those of the check texture: the frames and views that it looked at itself."""
        if self._texture is None:
            return
        for place, view, image in looks(shots.crops, shots.present):
            found, logit = self._texture.look(network_input(image, self._size), view)
            yield Look(place, view, image, found, logit)

    def _write(self, case: _Case, windows: list[WindowScore]) -> None:
        facts = self._facts.of(self._redis, case.alarm.stream)
        limits = self._facts.limits(self._redis)
        try:
            files = files_of(Evidence(case.alarm, windows, list(case.shots.values()), limits, facts))
            self._shelf.put(case.alarm, files)
            self._metrics.written.inc()
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            self._metrics.lost.labels("disk full" if full else "not writable").inc()
            if self._clock() - self._told_s > 60:
                self._told_s = self._clock()
                log.error(
                    "Evidence of %s is not kept: %s. Verdicts go on; see to evidence.folder.",
                    case.alarm.stream,
                    error.strerror or error,
                )
