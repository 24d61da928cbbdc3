"""The state machine: when a face becomes suspect, fake and authentic again, and what a stream amounts to."""

import json
from dataclasses import replace

import pytest

from dfd_core.judging.verdict import NO_TRACK, VerdictMachine, format_time
from dfd_core.settings import VerdictSettings
from dfd_core.types import Outcome, State, Thresholds, Verdict, WindowResult, WindowScore

THRESHOLDS = Thresholds(enter=0.6, exit=0.4)
SETTINGS = VerdictSettings(min_duration_s=2.0, cooldown_s=3.0)


def window(seq: int, scores: dict[int, float | None], outcome: Outcome | None = None, **checks: float) -> WindowResult:
    """Two seconds of media that end at `seq + 2`, so that each window adds one second."""
    start, end = float(seq), seq + 2.0
    rows = tuple(
        WindowScore("cam", seq, track, start, end, p, dict(checks), None if p is not None else "blurred", "m", 0.0, 0.0)
        for track, p in scores.items()
    )
    scored = any(p is not None for p in scores.values())
    return WindowResult(
        "cam", seq, outcome or (Outcome.SCORED if scored else Outcome.NOT_SCORABLE), start, end, 0.0, rows
    )


def play(machine: VerdictMachine, *probabilities: float | None, first: int = 0, track: int = 0) -> list[Verdict]:
    return [v for i, p in enumerate(probabilities, first) for v in machine.update(window(i, {track: p}))]


def states(verdicts: list[Verdict]) -> list[State]:
    return [verdict.state for verdict in verdicts]


@pytest.fixture
def machine() -> VerdictMachine:
    return VerdictMachine(SETTINGS, THRESHOLDS)


def test_a_real_face_is_authentic_and_says_so_once(machine: VerdictMachine) -> None:
    assert states(play(machine, 0.1, 0.2, 0.5, 0.3)) == [State.AUTHENTIC]
    assert machine.stream_state().fake_probability == 0.3
    assert machine.summary().text == "authentic"
    assert machine.summary().fake_probability == pytest.approx(0.275)


def test_fake_follows_suspect_after_the_minimum_duration(machine: VerdictMachine) -> None:
    verdicts = play(machine, 0.1, 0.7, 0.8, 0.9, 0.9)
    assert states(verdicts) == [State.AUTHENTIC, State.SUSPECT, State.FAKE]
    fake = verdicts[-1]
    assert fake.since_s == 1.0  # the start of the first window above enter
    assert fake.time_s == 5.0  # two seconds after that window's end
    assert machine.summary().text == "fake from 00:01"


def test_a_short_burst_raises_no_alarm(machine: VerdictMachine) -> None:
    assert states(play(machine, 0.1, 0.9, 0.9, 0.5)) == [State.AUTHENTIC, State.SUSPECT, State.AUTHENTIC]
    assert machine.intervals() == []


def test_zero_minimum_duration_raises_at_once() -> None:
    machine = VerdictMachine(replace(SETTINGS, min_duration_s=0.0), THRESHOLDS)
    assert states(play(machine, 0.9)) == [State.FAKE]


def test_between_the_thresholds_an_alarm_lasts_and_none_begins(machine: VerdictMachine) -> None:
    assert states(play(machine, 0.5, 0.5, 0.5, 0.5)) == [State.AUTHENTIC]
    machine = VerdictMachine(SETTINGS, THRESHOLDS)
    play(machine, 0.9, 0.9, 0.9)
    assert play(machine, *[0.5] * 20, first=3) == []
    assert machine.stream_state().state is State.FAKE


def test_an_alarm_ends_after_the_cooldown(machine: VerdictMachine) -> None:
    play(machine, 0.9, 0.9, 0.9, 0.9)
    assert play(machine, 0.1, 0.1, 0.5, 0.1, 0.1, 0.1, first=4) == []  # 0.5 stopped the clock
    (verdict,) = play(machine, 0.1, first=10)
    assert (verdict.state, verdict.since_s) == (State.AUTHENTIC, 8.0)
    (interval,) = machine.intervals()
    assert (interval.start_s, interval.end_s, interval.open) == (0.0, 8.0, False)
    assert machine.summary().text == "fake from 00:00 to 00:08"
    assert machine.summary().state is State.FAKE


def test_windows_that_cannot_be_scored_neither_raise_nor_clear(machine: VerdictMachine) -> None:
    play(machine, 0.9)
    assert play(machine, *[None] * 30, first=1) == []
    assert play(machine, 0.9, first=31) == []  # adds one second, not thirty
    assert states(play(machine, 0.9, first=32)) == [State.FAKE]
    play(machine, 0.1, first=33)
    assert play(machine, *[None] * 30, first=34) == []
    assert play(machine, 0.1, 0.1, first=64) == []
    assert states(play(machine, 0.1, first=66)) == [State.AUTHENTIC]


def test_a_face_that_was_never_scorable_stays_unknown(machine: VerdictMachine) -> None:
    assert play(machine, None, None) == []
    assert machine.stream_state().state is State.UNKNOWN
    assert machine.summary().text == "not scorable"
    assert machine.summary().fake_probability is None


def test_lost_windows_count_no_more_than_the_next_one_shows(machine: VerdictMachine) -> None:
    machine.update(window(0, {0: 0.9}))
    assert machine.update(window(50, {}, Outcome.DROPPED)) == []  # says nothing of who is there
    assert machine.update(window(51, {0: 0.9})) == []
    assert states(machine.update(window(60, {0: 0.9}))) == [State.FAKE]  # two seconds, all that it shows


def test_a_face_that_disappears_ends_after_the_cooldown(machine: VerdictMachine) -> None:
    play(machine, 0.9, 0.9, 0.9)
    assert [machine.update(window(seq, {})) for seq in (3, 4, 5)] == [[], [], []]
    (verdict,) = machine.update(window(6, {}))
    assert (verdict.state, verdict.since_s, verdict.fake_probability) == (State.UNKNOWN, 4.0, 0.9)
    assert machine.stream_state().track == NO_TRACK
    assert machine.summary().text == "fake from 00:00 to 00:04"


def test_a_source_that_begins_again_carries_nothing_over(machine: VerdictMachine) -> None:
    play(machine, 0.9, 0.9, 0.9, first=100)
    verdicts = machine.update(window(0, {0: 0.9}))
    assert states(verdicts) == [State.UNKNOWN, State.SUSPECT]
    assert states(play(machine, 0.9, 0.9, first=1)) == [State.FAKE]


def test_the_stream_is_as_bad_as_its_worst_face(machine: VerdictMachine) -> None:
    for seq in range(4):
        machine.update(window(seq, {0: 0.1, 7: 0.8, 3: None}))
    assert machine.stream_state().track == 7
    assert machine.stream_state().state is State.FAKE
    assert states(machine.verdicts()) == [State.AUTHENTIC, State.UNKNOWN, State.FAKE]
    assert machine.summary().worst is not None
    assert machine.summary().worst.track == 7


def test_the_worst_interval_has_most_evidence(machine: VerdictMachine) -> None:
    for seq in range(12):
        machine.update(window(seq, {0: 0.95 if seq < 3 else 0.0, 1: 0.7}))
    assert len(machine.intervals()) == 2
    assert machine.summary().worst == max(machine.intervals(), key=lambda i: i.evidence)
    assert machine.summary().worst.track == 1
    assert machine.summary().fake_probability == pytest.approx(0.7)


def test_a_stream_that_stops_while_suspect_is_suspect(machine: VerdictMachine) -> None:
    play(machine, 0.1, 0.9)
    assert machine.summary().text == "suspect from 00:01"


def test_settings_overrule_the_card(machine: VerdictMachine) -> None:
    strict = VerdictMachine(replace(SETTINGS, enter=0.95, exit=0.9), THRESHOLDS)
    assert states(play(strict, 0.94)) == [State.AUTHENTIC]
    low = VerdictMachine(replace(SETTINGS, enter=0.3), THRESHOLDS)  # below the card's exit: exit follows
    assert states(play(low, 0.35, 0.35, 0.35)) == [State.SUSPECT, State.FAKE]


def test_a_restored_machine_goes_on_as_if_nothing_had_happened() -> None:
    track = [0.1, 0.9, 0.9, 0.9, None, 0.5, 0.1, 0.1, 0.1, 0.1, 0.8, 0.9, 0.9, 0.9, 0.2]
    whole = VerdictMachine(SETTINGS, THRESHOLDS)
    expected = play(whole, *track)
    for cut in range(len(track)):
        first, second = VerdictMachine(SETTINGS, THRESHOLDS), VerdictMachine(SETTINGS, THRESHOLDS)
        head = play(first, *track[:cut])
        second.restore(json.loads(json.dumps(first.snapshot())))
        assert head + play(second, *track[cut:], first=cut) == expected
        assert second.summary() == whole.summary()


def test_a_foreign_snapshot_is_refused(machine: VerdictMachine) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        machine.restore({"tracks": [{"id": 3}], "closed": []})


def test_memory_is_bounded() -> None:
    machine = VerdictMachine(replace(SETTINGS, min_duration_s=0.0, cooldown_s=0.0), THRESHOLDS)
    for seq in range(1000):
        machine.update(window(seq, {0: 0.9 if seq % 2 else 0.1}))
    assert len(machine.intervals()) <= 201


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "00:00"), (14.99, "00:14"), (61, "01:01"), (3599.9, "59:59"), (3661, "1:01:01"), (-3, "00:00")],
)
def test_format_time(seconds: float, text: str) -> None:
    assert format_time(seconds) == text
