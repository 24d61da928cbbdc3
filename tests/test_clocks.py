"""Machines whose clocks disagree: the time of Redis is that of all, and no window is old by another one's clock."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from multiprocessing import Pipe
from types import SimpleNamespace

import pytest
from redis import Redis

from dfd_core.cli.main import main
from dfd_core.queue import keys
from dfd_core.queue.clock import LOOK_S, RedisClock
from dfd_core.settings import Settings
from dfd_core.types import Outcome, Window
from ingest.publisher import Publisher
from ingest.pump import Pump
from ingest.sources import open_source
from ingest.stream import Teller
from tests.fixtures_worker import Rig
from tests.standins import segment


def on_a_machine(patch: pytest.MonkeyPatch, ahead_s: float) -> None:
    """What follows runs where the clock is so far ahead; Redis is elsewhere."""
    here = time.time
    patch.setattr("time.time", lambda: here() + ahead_s)


def seen(ages_s: list[float]) -> list[Window]:
    """Windows that were captured so long ago."""
    return [
        Window((replace(segment(seq, follows=False), captured_at_s=time.time() - age_s),))
        for seq, age_s in enumerate(ages_s)
    ]


@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0, 20.0, -20.0])
@pytest.mark.parametrize("where", ["ingest", "worker"])
def test_age_is_that_of_the_window_whatever_clocks_say(
    where: str, ahead_s: float, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)  # burst workers run in the test's own process
    rig = Rig(redis_client)
    with monkeypatch.context() as patch:
        on_a_machine(patch, ahead_s if where == "ingest" else 0.0)
        rig.publish(seen([16.0, 0.0]))
    published = redis_client.zrange(keys.pending_key("cam"), 0, -1, withscores=True)
    assert [since_s for _, since_s in published] == pytest.approx([time.time()] * 2, abs=60)
    with monkeypatch.context() as patch:
        on_a_machine(patch, ahead_s if where == "worker" else 0.0)
        rig.work()
    results, _ = rig.results()
    assert results["cam", 0].reason == "stale: its newest frame is older than 15 s"
    assert results["cam", 1].outcome is Outcome.SCORED
    assert results["cam", 1].captured_at_s == pytest.approx(time.time(), abs=60)


@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0])
def test_a_camera_whose_machine_has_another_time_is_listed_as_it_is(
    ahead_s: float, redis_client: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:  # type: ignore[no-untyped-def]
    source, stop = open_source("synthetic://?duration=20&size=320x240", Settings().video, "cam"), threading.Event()
    with monkeypatch.context() as patch:
        on_a_machine(patch, ahead_s)
        publisher = Publisher(redis_client, "cam", True, Settings(), stop)
        pump = Pump(source, publisher, Settings(), stop)
        _, theirs = Pipe()
        teller = Teller(redis_client, pump, publisher, theirs)
        teller.report()  # the first is by its own clock
        pump._count(next(iter(source.frames())))
        teller.report()
    status = pump.status()
    assert status.last_frame_at_s == pytest.approx(time.time(), abs=60)
    assert main(["streams", "list", "--json", "--redis", redis_url]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert (listed["condition"], listed["error"]) == ("live", None)
    assert listed["since_at_s"] == pytest.approx(time.time(), abs=60)


def test_between_two_answers_it_goes_by_a_clock_that_nobody_sets() -> None:
    now, asked = [50.0], []
    redis = SimpleNamespace(time=lambda: asked.append(now[0]) or (1000 + int(now[0]), 250_000))
    clock = RedisClock(redis, lambda: now[0])  # type: ignore[arg-type]
    assert clock.now_s() == pytest.approx(time.time(), abs=60)
    for now[0] in (50.0, 50.0 + 0.5 * LOOK_S, 50.0 + 0.9 * LOOK_S):
        clock.look()
        assert clock.now_s() == pytest.approx(1000.25 + now[0])
    assert asked == [50.0]
    now[0] = 50.0 + LOOK_S
    clock.look()
    assert len(asked) == 2


def test_a_user_who_may_not_ask_has_the_time_of_its_machine(redis_client: Redis, redis_url: str) -> None:
    redis_client.acl_setuser("late", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-time"])
    with Redis.from_url(redis_url.replace("redis://", "redis://late@")) as limited:
        clock = RedisClock(limited)
        clock.look()
        assert clock.now_s() == pytest.approx(time.time(), abs=60)
    redis_client.acl_deluser("late")
