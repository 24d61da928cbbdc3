"""Adaptive work, the rule: for any windows, faces, losses and settings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfd_core.conditions import CalmNote
from dfd_core.errors import SettingsError
from dfd_core.judging.calm import Calm, Pace
from dfd_core.judging.verdict import VerdictMachine
from dfd_core.sections import AdaptiveSettings
from dfd_core.settings import Settings, VerdictSettings
from dfd_core.types import (
    FaceTrack,
    Outcome,
    Segment,
    State,
    Thresholds,
    WindowResult,
    WindowScore,
)

ENTER = 0.8
CARD = Thresholds(ENTER, 0.6)
Faces = dict[int, float | None] | None  # None: nobody looked

adaptive = st.builds(
    AdaptiveSettings,
    gap_s=st.sampled_from([1.0, 2.0, 3.5, 4.0, 8.0]),
    calm_s=st.sampled_from([8.0, 12.0, 20.0]),
    doubt=st.sampled_from([0.25, 0.5, 1.0]),
)
probabilities = st.one_of(st.none(), st.floats(0, 1), *[st.just(0.05)] * 8)
some_faces = st.one_of(st.none(), *[st.dictionaries(st.sampled_from([0, 1]), probabilities)] * 8)


def result(seq: int, end_s: float, faces: Faces, length_s: float = 1.875) -> WindowResult:
    scores = tuple(
        WindowScore("cam", seq, track, end_s - length_s, end_s, p, {}, None if p is not None else "dark", "m", 0, 0)
        for track, p in (faces or {}).items()
    )
    scored = any(score.fake_probability is not None for score in scores)
    outcome = Outcome.DROPPED if faces is None else Outcome.SCORED if scored else Outcome.NOT_SCORABLE
    return WindowResult("cam", seq, outcome, end_s - length_s, end_s, 0.0, scores)


def segment(seq: int, end_s: float, tracks: frozenset[int], follows: bool = True) -> Segment:
    face = np.zeros((8, 4), np.float32), np.zeros((8, 6, 2), np.float32), np.zeros((8, 4, 4, 3), np.uint8)
    faces = tuple(FaceTrack(track, *face, 4) for track in sorted(tracks))
    return Segment("cam", seq, end_s + np.arange(-7, 1) / 8, 0.0, faces, follows)


@given(adaptive, st.lists(st.tuples(st.sampled_from([1.0, 1.0, 1.0, 2.0, 9.0]), some_faces), max_size=60))
def test_nobody_is_calm_soon_after_a_doubt_a_new_face_or_a_pause(
    settings: AdaptiveSettings, seen: list[tuple[float, Faces]]
) -> None:
    """Held against all that was ever seen, each time that calm is told."""
    calm, end_s, heard = Calm(settings, ENTER), 0.0, list[tuple[float, dict[int, float | None]]]()
    for seq, (step_s, faces) in enumerate(seen):
        end_s += step_s
        calm.see(result(seq, end_s, faces))
        if faces:
            heard.append((end_s, faces))
        note = calm.note("r1")
        if note is None:
            continue
        late = [(at_s, values) for at_s, values in heard if at_s >= heard[-1][0] - settings.calm_s]
        assert all(p is not None and p < settings.doubt * ENTER for _, values in late for p in values.values())
        assert late[-1][0] - late[0][0] >= settings.calm_s - 2 * settings.gap_s
        assert all(b - a <= 2 * settings.gap_s for (a, _), (b, _) in itertools.pairwise(late))
        assert (note.run, note.end_s) == ("r1", heard[-1][0])


@given(
    adaptive,
    st.lists(st.tuples(st.sampled_from([frozenset({0})] * 6 + [frozenset({0, 1}), frozenset()]), st.booleans())),
    st.lists(st.sampled_from([True] * 9 + [False]), min_size=60, max_size=60),
)
def test_what_is_left_out_is_never_new_nor_too_much_at_once(
    settings: AdaptiveSettings, shown: list[tuple[frozenset[int], bool]], told: list[bool]
) -> None:
    """Whatever the monitor says; `told`: whether it says calm of the segment before."""
    pace, last_s, before, rested = Pace(settings.gap_s), -math.inf, frozenset[int](), False
    for seq, ((tracks, cut), says) in enumerate(zip(shown, told, strict=False)):
        end_s, follows = float(seq), not (cut and seq % 7 == 0)
        note = CalmNote("r1", seq - 1, end_s - 1.0) if says else None
        left_out = pace.leaves_out(segment(seq, end_s, tracks, follows), note)
        if left_out:
            assert says
            assert follows
            assert tracks
            assert tracks <= before
            assert end_s + 1.0 - last_s <= settings.gap_s
        else:
            last_s = end_s
            assert not (rested and says and follows and tracks and tracks <= before)
        rested, before = pace.rests, tracks
        assert not rested or (left_out and told[seq] and seq - 1 >= last_s and end_s + 2 - last_s <= settings.gap_s)


def test_what_was_told_long_ago_or_of_before_a_cut_holds_no_more() -> None:
    pace, face = Pace(4.0), frozenset({0})
    for seq in range(3):
        assert not pace.leaves_out(segment(seq, seq, face), None)
    assert pace.leaves_out(segment(3, 3.0, face), CalmNote("r1", 2, 2.0))
    assert pace.calm
    assert not pace.leaves_out(segment(4, 4.0, face, follows=False), CalmNote("r1", 2, 2.0))
    assert not pace.leaves_out(segment(5, 5.0, face), CalmNote("r1", 3, 3.0))
    assert pace.leaves_out(segment(6, 6.0, face), CalmNote("r1", 4, 4.0))
    left_out = [pace.leaves_out(segment(seq, seq, face), CalmNote("r1", 4, 4.0)) for seq in range(7, 16)]
    assert any(left_out[:5])
    assert not any(left_out[6:])  # 8 s after the last word
    assert not pace.calm


def alarm_s(
    probability: Callable[[float], float], rule: AdaptiveSettings, verdict: VerdictSettings, known_after: int
) -> tuple[float, int]:
    """When the alarm begins, as media time of the window that raises it (inf: never), and how many were left out.

    The monitor's word on a window is there `known_after` segments later.
    """
    calm, pace, machine = Calm(rule, ENTER), Pace(rule.gap_s), VerdictMachine(verdict, CARD)
    notes: list[CalmNote | None] = []
    left_out, alone = 0, True
    for seq in range(90):
        end_s = float(seq)
        known = notes[-known_after] if len(notes) >= known_after else None
        if rule.gap_s and pace.leaves_out(segment(seq, end_s, frozenset({0}), seq > 0), known):
            machine.update(replace(result(seq, end_s, None, 0.875), outcome=Outcome.CALM))
            left_out, alone = left_out + 1, True
        else:
            told = result(seq, end_s, {0: probability(end_s)}, 0.875 if alone else 1.875)
            alone = False
            calm.see(told)
            machine.update(told)
        notes.append(calm.note("r1"))
        if machine.stream_state().state is State.FAKE:
            return end_s, left_out
    return math.inf, left_out


@given(
    adaptive,
    st.builds(
        VerdictSettings,
        min_duration_s=st.sampled_from([0.0, 1.0, 2.0, 3.0]),
        jump=st.sampled_from([0.5, 0.85, 2.0]),
        enter=st.just(ENTER),
        exit=st.just(0.6),
    ),
    st.floats(0, 70),
    st.floats(ENTER, 1),
    st.integers(1, 4),
)
def test_an_alarm_is_later_by_the_gap_at_most(
    rule: AdaptiveSettings, verdict: VerdictSettings, fake_from_s: float, fake: float, known_after: int
) -> None:
    """As if all were scored, where a verdict is known before the next window is complete; else by as much more."""

    def probability(end_s: float) -> float:
        return fake if end_s > fake_from_s else 0.05

    full, _ = alarm_s(probability, replace(rule, gap_s=0.0), verdict, 1)
    adapted, left_out = alarm_s(probability, rule, verdict, known_after)
    assert math.isfinite(full)
    assert full - 1e-6 <= adapted <= full + rule.gap_s + (known_after - 1) * (verdict.min_duration_s + 1)
    if known_after == 1 and rule.gap_s >= 2 and fake_from_s > rule.calm_s + 2 * rule.gap_s:
        assert left_out >= (fake_from_s - rule.calm_s) * (1 - 1 / int(rule.gap_s)) - 2


def test_settings_are_off_and_in_range() -> None:
    assert Settings().adaptive.gap_s == 0
    for wrong in ({"gap_s": -1.0}, {"gap_s": 31.0}, {"gap_s": 4.0, "calm_s": 3.0}, {"doubt": 0.0}, {"doubt": 1.1}):
        with pytest.raises(SettingsError, match=r"adaptive\.\w+ must be"):
            Settings().with_values({f"adaptive.{key}": value for key, value in wrong.items()})
