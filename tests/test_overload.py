"""Twice as much as can be scored comes for long: what is scored is new, the rest is counted, and it is soon over."""

import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from dfd_core.queue.clock import RedisClock
from dfd_core.settings import QueueSettings, Settings
from dfd_core.types import Outcome, Window
from tests.fixtures_worker import Rig
from tests.standins import MeanScorer, segment
from workers.windows.patience import LASTING_S, Patience

A_SECOND = 4  # windows that the worker can score
OVERLOAD_S, AFTER_S = 45.0, 20.0
LATE_S, STALE_S = QueueSettings().late_s, QueueSettings().stale_s


class Overloaded(Rig):
    """A worker with a clock of its own: while it scores, time goes by and windows come."""

    def __init__(self, redis):
        super().__init__(redis, self.Scorer(Settings()), batch_windows=A_SECOND, batch_wait_s=0)
        self.began_s = time.time()
        self.clock = SimpleNamespace(time=lambda: self.began_s + self.now)
        self.scorer.rig, self.now, self.seq = self, 0.0, 0
        self.told: list[tuple[float, float]] = []  # time and age of each window that was scored
        self.publisher = self.publish([])

    class Scorer(MeanScorer):
        def score(self, items):
            self.rig.go_on(len(items) / A_SECOND)
            ages = [self.rig.clock.time() - item[-1].captured_at_s for item in items]
            self.rig.told += [(self.rig.now, age) for age in ages]
            return super().score(items)

    def go_on(self, seconds: float) -> None:
        """Let time pass: twice as much comes, in the end half as much."""
        self.now += seconds
        came = 2.0 * min(self.now, OVERLOAD_S) + 0.5 * max(0.0, self.now - OVERLOAD_S)
        while self.seq < came * A_SECOND:
            newest = replace(segment(self.seq, follows=False), captured_at_s=self.clock.time())
            self.publisher.publish(Window((newest,)))
            self.seq += 1


def test_what_is_scored_stays_new_and_all_is_well_soon_after(redis_client, monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)  # burst workers run in the test's own process
    rig = Overloaded(redis_client)
    monkeypatch.setattr(RedisClock, "now_s", lambda _: rig.clock.time())
    monkeypatch.setattr(RedisClock, "of", lambda _, ours_s: ours_s)
    while rig.now < OVERLOAD_S + AFTER_S:
        rig.go_on(0.5)
        rig.work()
    lasting = [age for now, age in rig.told if LATE_S + LASTING_S + 10 < now < OVERLOAD_S]
    assert max(lasting) <= LATE_S + 2.0  # a batch is a second, and comes while another one is scored
    assert len([now for now, _ in rig.told if now < OVERLOAD_S]) >= 0.9 * A_SECOND * OVERLOAD_S
    assert max(age for now, age in rig.told if now > OVERLOAD_S + 10) <= 2.0
    results, count = rig.results()
    assert count == len(results) == rig.seq
    outcomes = Counter(result.outcome for result in results.values())
    assert outcomes == {Outcome.SCORED: len(rig.told), Outcome.NOT_SCORABLE: rig.seq - len(rig.told)}
    assert f"stale: its newest frame is older than {LATE_S:.0f} s" in {r.reason for r in results.values()}
    assert redis_client.keys("dfd:segment:*") == []


@pytest.mark.parametrize("oldest_s", [0.1, 2.9, 14.0, 100.0])
def test_a_burst_is_scored_whole(oldest_s):
    patience = Patience(STALE_S, LATE_S)
    assert {patience.limit_s(oldest_s, now) for now in (0.0, 4.0, LASTING_S - 0.1)} == {STALE_S}
    assert patience.limit_s(LATE_S / 2, LASTING_S + 1) == STALE_S  # it was over for a moment
    assert patience.limit_s(oldest_s, LASTING_S + 2) == STALE_S


def test_a_clock_that_is_set_back_makes_nobody_impatient():
    patience = Patience(STALE_S, LATE_S)
    assert patience.limit_s(9.0, 3600.0) == STALE_S
    assert patience.limit_s(9.0, 0.0) == STALE_S
    assert patience.limit_s(9.0, LASTING_S) == LATE_S
    assert Patience(1.0, 3.0).limit_s(9.0, 0.0) == 1.0
