"""The alarm rule, for any faces, windows, losses and settings: when it must alarm, when not, and what moves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfd_core.errors import SettingsError
from dfd_core.judging.fusion import STALE
from dfd_core.judging.verdict import VerdictMachine
from dfd_core.settings import Settings, VerdictSettings
from dfd_core.types import EndEvent, Outcome, State, Thresholds, WindowEvent, WindowResult, WindowScore
from workers.monitor.runs import RunBook

CARD = Thresholds(0.6, 0.4)
LENGTH_S, STRIDE_S = 2.0, 1.0  # of windows
TRACKS = (0, 1, 2)


@dataclass(frozen=True)
class Seen:
    """What one window says: of each face a probability, or None where it cannot be scored; or why it says nothing."""

    faces: dict[int, float | None]
    lost: Outcome | str | None = None  # an outcome, "stale", or "missing"


def window(seq: int, seen: Seen) -> WindowResult:
    start_s, end_s = seq * STRIDE_S, seq * STRIDE_S + LENGTH_S
    faces = {} if seen.lost else seen.faces
    scores = tuple(
        WindowScore("cam", seq, track, start_s, end_s, p, {}, "too dark" if p is None else None, "m", 0.0, 0.0)
        for track, p in faces.items()
    )
    scored = any(p is not None for p in faces.values())
    outcome = Outcome.SCORED if scored else Outcome.NOT_SCORABLE
    reason = None if scored else "too dark" if faces else "no face"
    if seen.lost == STALE:
        reason = f"{STALE}: its newest frame is older than 10 s"
    elif isinstance(seen.lost, Outcome):
        outcome, reason = seen.lost, "for some reason"
    return WindowResult("cam", seq, outcome, start_s, end_s, 0.0, scores, reason)


def said(machine: VerdictMachine) -> dict[int, State]:
    return {verdict.track: verdict.state for verdict in machine.verdicts()}


probabilities = st.one_of(st.none(), st.floats(0, 1), st.sampled_from([0.0, 0.4, 0.6, 1.0]))
losses = st.sampled_from([Outcome.DROPPED, Outcome.EXPIRED, Outcome.FAILED, STALE, "missing"])
windows = st.builds(
    Seen,
    st.dictionaries(st.sampled_from(TRACKS), probabilities),
    st.one_of(st.none(), st.none(), st.none(), losses),
)
settings = st.builds(
    VerdictSettings,
    min_duration_s=st.sampled_from([0.0, 1.0, 2.5]),
    cooldown_s=st.sampled_from([0.0, 2.0, 5.0]),
    jump=st.sampled_from([0.3, 0.85, 2.0]),
)
streams = st.lists(windows, max_size=40)


def results(stream: Sequence[Seen]) -> list[WindowResult]:
    return [window(seq, seen) for seq, seen in enumerate(stream) if seen.lost != "missing"]


@given(settings, streams)
def test_alarms_open_above_the_threshold_and_close_on_what_was_seen(rule: VerdictSettings, stream: list[Seen]) -> None:
    """At most one is open a face, none opens below `enter` or closes on absence, and the stream is its worst face."""
    machine = VerdictMachine(rule, CARD)
    for result in results(stream):
        before = said(machine)
        changed = machine.update(result)
        now, found = said(machine), {score.track: score.fake_probability for score in result.scores}
        for track in TRACKS:
            was, p = before.get(track), found.get(track)
            opened, closed = [v.state for v in changed if v.track == track].count(State.FAKE), was is State.FAKE
            if opened:
                assert (opened, closed) == (1, False)
                assert p is not None
                assert p >= CARD.enter
            if closed and now.get(track) is not State.FAKE:
                left = track not in found and result.outcome in (Outcome.SCORED, Outcome.NOT_SCORABLE)
                assert left or (p is not None and p < CARD.exit)
        worst = max(now.values(), key=list(State).index, default=State.UNKNOWN)
        assert machine.stream_state().state is worst


@given(settings, streams)
def test_windows_that_say_nothing_change_nothing(rule: VerdictSettings, stream: list[Seen]) -> None:
    machine = VerdictMachine(rule, CARD)
    for result in results(stream):
        before = said(machine)
        changed = machine.update(result)
        looked = result.scores or (result.reason == "no face" and result.outcome is Outcome.NOT_SCORABLE)
        if not looked:
            assert (changed, said(machine)) == ([], before)
        for track, p in ((score.track, score.fake_probability) for score in result.scores):
            assert p is not None or said(machine)[track] is before.get(track, State.UNKNOWN)


@given(settings, streams, st.lists(st.floats(CARD.enter, 1), min_size=8, max_size=8), st.integers(0, 8))
def test_an_alarm_is_open_after_the_minimum_duration_and_one_window(
    rule: VerdictSettings, stream: list[Seen], high: list[float], others: int
) -> None:
    """Of a face above `enter` for so long, whatever was before, and whatever else is seen meanwhile."""
    machine = VerdictMachine(rule, CARD)
    for result in results(stream):
        machine.update(result)
    for index, p in enumerate(high):
        seen = Seen({9: p, **({0: None} if index < others else {})})
        machine.update(window(len(stream) + index, seen))
        if (index + 1) * STRIDE_S >= rule.min_duration_s + LENGTH_S:
            assert said(machine)[9] is State.FAKE


@given(settings, streams, st.integers(0, 60))
def test_evidence_is_not_carried_from_track_to_track(rule: VerdictSettings, stream: list[Seen], before: int) -> None:
    """After a cut a face has another track: it begins as if nothing had been, and no rise across the cut is a jump."""
    machine, fresh = VerdictMachine(rule, CARD), VerdictMachine(rule, CARD)
    for result in results(stream):
        machine.update(result)
    for index, p in enumerate((0.9, 0.9, 0.1)):
        result = window(len(stream) + before + index, Seen({9: p}))
        machine.update(result)
        fresh.update(result)
        assert said(machine)[9] is said(fresh)[9]


@given(settings, streams, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(rule: VerdictSettings, stream: list[Seen], random) -> None:  # type: ignore[no-untyped-def]
    """Workers finish in any order; what the monitor tells is that of the windows' own order."""
    events: list[WindowEvent | EndEvent] = [WindowEvent("run", result) for result in results(stream)]
    events.append(EndEvent("cam", "run", len(stream) - 1, None))
    told = []
    for _ in range(2):
        book = RunBook(rule, CARD, {}, 60.0)
        turns = [
            turn for index, event in enumerate(events) for turn in (book.take(f"{index}-0", event, 0.0), book.turn(0.0))
        ]
        turns.append(book.turn(rule.reorder_timeout_s + 1.0))  # what never came is waited for no longer
        told.append([notice for turn in turns for notice in turn.notices])
        random.shuffle(events)
    assert told[0] == told[1]


def test_a_window_that_comes_after_it_was_given_up_moves_nothing() -> None:
    book, rule = RunBook(VerdictSettings(), CARD, {}, 60.0), VerdictSettings()
    for seq in (0, 2, 3):
        book.take(f"{seq}-0", WindowEvent("run", window(seq, Seen({0: 0.9}))), 0.0)
    (notice,) = book.turn(0.0).notices
    assert notice.verdict.state is State.SUSPECT
    assert [n.verdict.state for n in book.turn(rule.reorder_timeout_s).notices] == [State.FAKE]
    for now_s in (6.0, 60.0):
        book.take("9-0", WindowEvent("run", window(1, Seen({0: 0.0}))), now_s)
        turn = book.turn(now_s)
        assert (turn.notices, turn.results) == ([], [])


@pytest.mark.parametrize(
    ("rise", "jump", "alarm"),
    [((0.1, 0.96), 0.85, True), ((0.1, 0.9), 0.85, False), ((0.2, 0.55), 0.3, False), ((None, 0.96), 0.85, False)],
)
def test_a_large_jump_to_above_the_threshold_alarms_at_once(
    rise: tuple[float | None, float], jump: float, alarm: bool
) -> None:
    machine = VerdictMachine(VerdictSettings(min_duration_s=5.0, jump=jump), CARD)
    for seq, p in enumerate(rise):
        changed = machine.update(window(seq, Seen({0: p})))
    assert (changed != [] and changed[-1].state is State.FAKE) == alarm
    if alarm:
        assert machine.intervals()[0].start_s == 1.0


def test_an_overloaded_worker_ends_no_alarm() -> None:
    """Two minutes of windows too late, dropped or missing, then one without the face: it may still be there."""
    machine = VerdictMachine(VerdictSettings(), CARD)
    stream = [Seen({0: 0.9})] * 4 + [Seen({}, STALE), Seen({}, Outcome.DROPPED), Seen({}, "missing")] * 40
    for result in results([*stream, Seen({}), Seen({0: 0.5})]):
        machine.update(result)
    assert said(machine) == {0: State.FAKE}
    assert len(machine.intervals()) == 1


def test_a_jump_of_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"verdict\.jump must be above 0"):
        Settings().with_values({"verdict.jump": 0.0})
