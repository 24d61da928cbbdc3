"""What benchmarks/adaptive.py counts: schedules by seconds, delays and misses of known alarms."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.spliced import Judge, Piece, delays, go_through, pieces_of, schedule
from dfd_core.settings import Settings
from dfd_core.types import Outcome, Thresholds, WindowResult, WindowScore


def judge(pieces: tuple[Piece, ...]) -> WindowResult:
    """As sure as the share of its newest second that is fake."""
    start_s, share = 1.0 - len(pieces), pieces[-1][1].bit_count() / 8
    score = WindowScore("cam", 0, 0, start_s, 0.875, 0.1 + 0.85 * share, {}, None, "m", 0.0, 0.0)
    return WindowResult("cam", 0, Outcome.SCORED, start_s, 0.875, 0.0, (score,))


def test_a_schedule_is_told_frame_by_frame() -> None:
    assert pieces_of([(1.5, 3.0)], 5, 2) == [(0, 0), (1, 0xF0), (0, 0xFF), (1, 0), (0, 0)]
    fakes = schedule(20, 2.0, 30.0, np.random.default_rng(1))
    ends = [0.0, *(end_s for _, end_s in fakes)]
    assert all(end_s - start_s == 2.0 for start_s, end_s in fakes)
    assert all(30 <= start_s - end_s <= 40 for (start_s, _), end_s in zip(fakes, ends, strict=False))


def test_the_first_alarm_of_a_fake_counts_and_none_else() -> None:
    assert delays([(10.0, 12.0), (50.0, 51.0)], [13.0, 14.0, 30.0]) == ([3.0, math.inf], 1)


@pytest.mark.parametrize(("gap_s", "late_s", "scored"), [(0.0, 2.0, 190), (4.0, 4.0, 138)])
def test_a_run_alarms_at_once_or_within_the_gap(gap_s: float, late_s: float, scored: int) -> None:
    """The fake begins right after a window that is scored: nothing is later than what follows."""
    told: Judge = judge
    settings = Settings().with_values({"adaptive.gap_s": gap_s, "adaptive.calm_s": 80.0})
    scorer = SimpleNamespace(thresholds=Thresholds(0.6, 0.5))
    run = go_through(pieces_of([(150.0, 170.0)], 190, 7), told, settings, scorer)  # type: ignore[arg-type]
    first, false = delays([(150.0, 170.0)], run.alarms)
    assert first[0] == pytest.approx(late_s, abs=1.0)
    assert not false
    assert run.scored == pytest.approx(scored, abs=5)
