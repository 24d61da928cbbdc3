"""What else is known of the face of an alarm: its own states, and earlier alarms of its stream that look like it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis

from dfd_core.errors import WireError
from dfd_core.names import format_time
from dfd_core.queue import keys, records
from dfd_core.queue.alarms import Alarm
from dfd_core.types import Verdict
from workers.serve.console.shell import MARKS

LOOKED_AT = 5000  # entries of dfd:verdicts, the newest
SHOWN = 30


def face_history(redis: Redis, alarm: Alarm) -> list[Verdict]:
    """The states of its face that are remembered, the newest of them, in order; RedisError."""
    entries: Any = redis.xrevrange(keys.VERDICTS_KEY, count=LOOKED_AT)
    found = []
    for _, fields in entries:
        if not fields.get(b"key", b"").decode(errors="replace").startswith(f"{alarm.stream}/{alarm.run}/"):
            continue
        try:
            verdict = records.parse_verdict(fields)
        except WireError:
            continue
        if verdict.track == alarm.track:
            found.append(verdict)
    return found[:SHOWN][::-1]


def told(verdict: Verdict) -> str:
    """One of them, for people."""
    sure = "" if verdict.fake_probability is None else f", probability {verdict.fake_probability:.2f}"
    return f"{format_time(verdict.time_s)}: {MARKS[verdict.state]} {verdict.state.value}{sure}"


def most_similar(alarm: Alarm, others: Sequence[Alarm], limit: int) -> list[Alarm]:
    """Of `others` those that opened before it, whose checks were most like its own in their worst windows, first."""
    earlier = [other for other in others if other.opened_at_s < alarm.opened_at_s and other.id != alarm.id]
    return sorted(earlier, key=lambda other: (_distance(alarm, other), -other.opened_at_s))[:limit]


def _distance(one: Alarm, other: Alarm) -> float:
    """Mean difference of the checks that both have; 1 where there is none."""
    shared = [
        abs(mine - theirs)
        for name, mine in one.checks.items()
        if mine is not None and (theirs := other.checks.get(name)) is not None
    ]
    return sum(shared) / len(shared) if shared else 1.0
