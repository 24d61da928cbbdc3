"""Alarms: one record for each time that a face of a stream was thought fake, and what people made of it.

Three write to an alarm's hash, each its own fields, so that none overwrites another: the monitor says when it opened
and ended, the keeper beside it how bad it was, a reviewer what it was. The newest `keys.ALARMS_CAP` are kept.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from redis import Redis

from dfd_core.queue import keys, records
from dfd_core.types import WindowScore

_AT_ONCE = 200  # alarms a round trip, where many are looked through

# An alarm opens once, whoever repeats it; the oldest make room. KEYS: alarms, open ones, news.
_OPEN = """
local key = 'dfd:alarm:' .. ARGV[1]
if redis.call('HSETNX', key, 'opened', ARGV[3]) == 0 then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[4], ARGV[1])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[6], '*', 'id', ARGV[1], 'what', 'opened')
local many = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[5])
if many > 0 then
  for _, id in ipairs(redis.call('ZPOPMIN', KEYS[1], many)) do
    redis.call('DEL', 'dfd:alarm:' .. id, 'dfd:alarm:' .. id .. ':windows')
  end
end
return 1
"""


class AlarmState(StrEnum):
    """Whether it lasts."""

    OPEN = "open"
    ENDED = "ended"


class Review(StrEnum):
    """What people say that it was."""

    NONE = "none"
    CONFIRMED = "confirmed"
    FALSE_ALARM = "false_alarm"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One face thought fake: times in media seconds (`_s`) and Unix seconds (`_at_s`), None while it lasts.

    `worst_probability` and `checks` are those of its worst window so far; `since_s` is where the evidence began.
    """

    id: str
    stream: str
    track: int
    run: str
    since_s: float
    opened_s: float
    opened_at_s: float
    worst_probability: float | None
    checks: dict[str, float | None] = field(default_factory=dict)
    model: str = ""
    worst_s: float | None = None
    closed_s: float | None = None
    closed_at_s: float | None = None
    review: Review = Review.NONE
    note: str = ""
    reviewed_at_s: float | None = None

    @property
    def state(self) -> AlarmState:
        """Open until it has ended."""
        return AlarmState.OPEN if self.closed_s is None else AlarmState.ENDED

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON has them."""
        return {**asdict(self), "state": self.state.value}


def alarm_id(notice: str) -> str:
    """The id of the alarm that opened with the notice of that key; hex, the same whoever repeats the notice."""
    return hashlib.sha256(notice.encode()).hexdigest()[:24]


class AlarmBook:
    """The alarms in one Redis; raises RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._open_script = redis.register_script(_OPEN)

    def open(self, alarm: Alarm) -> bool:
        """Keep a new alarm; whether it was new."""
        text = records.dumps(asdict(alarm))
        member = _member(alarm.stream, alarm.run, alarm.track)
        bounds = keys.ALARMS_CAP, keys.ALARM_NEWS_CAP
        names = [keys.ALARMS_KEY, keys.ALARMS_OPEN_KEY, keys.ALARM_NEWS_KEY]
        return bool(self._open_script(names, [alarm.id, alarm.opened_at_s, text, member, *bounds]))

    def close(self, stream: str, run: str, track: int | None, closed_s: float, closed_at_s: float) -> None:
        """End the alarm of a face, or of every face of the run that is over (None).

        An alarm that opened after `closed_at_s` is another one than was meant, and goes on.
        """
        for (of_stream, of_run, of_track), name in self.lasting().items():
            if (of_stream, of_run) != (stream, run) or track not in (None, of_track):
                continue
            alarm = self.get(name)
            if alarm is not None and track is not None and closed_at_s < alarm.opened_at_s:
                continue
            with self._redis.pipeline(transaction=True) as pipe:
                if alarm is not None:
                    closing = {"closed_s": closed_s, "closed_at_s": max(closed_at_s, alarm.opened_at_s)}
                    pipe.hset(keys.alarm_key(name), "closed", records.dumps(closing))
                    _report(pipe, name, "ended")
                pipe.hdel(keys.ALARMS_OPEN_KEY, _member(of_stream, of_run, of_track))
                pipe.execute()

    def lasting(self) -> dict[tuple[str, str, int], str]:
        """The ids of the alarms that last, by stream, run and track."""
        found: Any = self._redis.hgetall(keys.ALARMS_OPEN_KEY)
        parts = ((member.decode().split("/"), name.decode()) for member, name in found.items())
        return {(stream, run, int(track)): name for (stream, run, track), name in parts}

    def see(self, name: str, scores: Sequence[WindowScore]) -> None:
        """Keep what windows say of the face of an alarm: the worst of all that were ever told, and each window."""
        known = [score for score in scores if score.fake_probability is not None]
        kept: Any = self._redis.hmget(keys.alarm_key(name), ["opened", "worst"])
        if not known or kept[0] is None:
            return
        worst = max(known, key=lambda score: score.fake_probability or 0.0)
        before = -1.0 if kept[1] is None else float(records.loads(kept[1])["worst_probability"])
        now = {"worst_probability": worst.fake_probability, "worst_s": worst.end_s, "checks": dict(worst.checks)}
        with self._redis.pipeline(transaction=True) as pipe:
            if (worst.fake_probability or 0.0) > before:
                pipe.hset(keys.alarm_key(name), "worst", records.dumps({**now, "model": worst.model}))
            windows = keys.alarm_windows_key(name)
            pipe.rpush(windows, *(records.dumps(asdict(score)) for score in scores))
            pipe.ltrim(windows, 0, keys.ALARM_WINDOWS_CAP - 1)
            pipe.execute()

    def windows(self, name: str) -> list[WindowScore]:
        """The windows of its face, in order, each once: some from before it opened, and the first while it lasted."""
        kept: Any = self._redis.lrange(keys.alarm_windows_key(name), 0, -1)
        found = {score.seq: score for score in (records.build(WindowScore, records.loads(text)) for text in kept)}
        return [found[seq] for seq in sorted(found)]

    def get(self, name: str) -> Alarm | None:
        """One alarm; None where there is none, or no longer."""
        return next(iter(self._read([name])), None)

    def find(
        self,
        *,
        stream: str | None = None,
        state: AlarmState | None = None,
        review: Review | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Alarm]:
        """Those of a kind, newest first, from the `offset`th on."""
        wanted = {"stream": stream, "state": state, "review": review}
        tests = {key: value for key, value in wanted.items() if value is not None}
        found: list[Alarm] = []
        for first in range(0, keys.ALARMS_CAP, _AT_ONCE):
            names: Any = self._redis.zrevrange(keys.ALARMS_KEY, first, first + _AT_ONCE - 1)
            alarms = self._read([name.decode() for name in names])
            found += [alarm for alarm in alarms if all(getattr(alarm, key) == tests[key] for key in tests)]
            if len(found) >= offset + limit or not names:
                break
        return found[offset : offset + limit]

    def review(self, name: str, review: Review | None, note: str | None) -> Alarm | None:
        """Say what an alarm was (None: as it stands); the alarm as it is then, or None where there is none."""
        alarm = self.get(name)
        if alarm is None:
            return None
        alarm = replace(
            alarm,
            review=alarm.review if review is None else review,
            note=alarm.note if note is None else note,
            reviewed_at_s=time.time(),
        )
        said = {key: getattr(alarm, key) for key in ("review", "note", "reviewed_at_s")}
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(keys.alarm_key(name), "review", records.dumps(said))
            _report(pipe, name, "reviewed")
            pipe.execute()
        return alarm

    def _read(self, names: Iterable[str]) -> list[Alarm]:
        with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(keys.alarm_key(name))
            kept = pipe.execute()
        return [_alarm(fields) for fields in kept if b"opened" in fields]


def _alarm(fields: Mapping[bytes, bytes]) -> Alarm:
    """The alarm whose hash this is: what each has said of it, put together."""
    parts = [records.loads(fields[part]) for part in (b"opened", b"closed", b"worst", b"review") if part in fields]
    return records.build(Alarm, {key: value for part in parts for key, value in part.items()})


def _member(stream: str, run: str, track: int) -> str:
    return f"{stream}/{run}/{track}"


def _report(pipe: Any, name: str, what: str) -> None:
    pipe.xadd(keys.ALARM_NEWS_KEY, {"id": name, "what": what}, maxlen=keys.ALARM_NEWS_CAP, approximate=True)
