"""What a source shows, from what happened to it and when; the clock is the test's."""

from __future__ import annotations

import pytest

from dfd_core.conditions import NO_FACE_S, SILENT_S, STALLED_S, Condition, ConditionMachine, as_seen


def live_until(end_s: int) -> ConditionMachine:
    machine = ConditionMachine()
    for second in range(end_s + 1):
        machine.frame(second)
        machine.face(second)
    return machine


def test_from_connecting_to_live_and_since_when() -> None:
    machine = ConditionMachine()
    assert (machine.look(0, 100.0), machine.since_at_s) == (Condition.CONNECTING, 100.0)
    assert (machine.look(9, 109.0), machine.since_at_s) == (Condition.CONNECTING, 100.0)
    machine.frame(10)
    assert (machine.look(10, 110.0), machine.since_at_s) == (Condition.LIVE, 110.0)
    machine.frame(11)
    assert (machine.look(11, 111.0), machine.since_at_s) == (Condition.LIVE, 110.0)


def test_a_clock_that_is_set_moves_no_condition() -> None:
    machine = live_until(5)
    machine.look(5, 1000.0)
    assert (machine.look(6, 4600.0), machine.since_at_s) == (Condition.LIVE, 1000.0)


@pytest.mark.parametrize("picture", [Condition.FROZEN, Condition.LOOPED, Condition.BLACK])
def test_what_is_wrong_with_pictures_is_told_while_they_come(picture: Condition) -> None:
    machine = live_until(3)
    machine.frame(4, picture)
    assert machine.look(4, 0.0) is picture
    assert machine.look(4 + STALLED_S + 0.1, 0.0) is Condition.STALLED
    machine.frame(20)
    assert machine.look(20, 0.0) is Condition.LIVE


def test_frames_without_a_face_for_a_while() -> None:
    machine = live_until(0)
    for second in range(1, int(NO_FACE_S) + 5):
        machine.frame(second)
        assert machine.look(second, 0.0) is (Condition.NO_FACE if second > NO_FACE_S else Condition.LIVE)
    machine.face(second)
    assert machine.look(second, 0.0) is Condition.LIVE


def test_trouble_outranks_pictures_and_the_end_outranks_all() -> None:
    machine = live_until(3)
    machine.frame(4, Condition.BLACK)
    assert machine.look(4, 0.0, trouble=True) is Condition.OFFLINE
    assert machine.look(4, 0.0, trouble=True, refused=True) is Condition.REFUSED
    assert ConditionMachine().look(0, 0.0, trouble=True) is Condition.OFFLINE  # also before the first frame
    machine.ended(failed=False)
    assert machine.look(5, 0.0, trouble=True) is Condition.ENDED
    machine.ended(failed=True)
    assert machine.look(5, 0.0) is Condition.FAILED


def test_a_file_that_waits_for_room_neither_stalls_nor_loses_its_face() -> None:
    machine = live_until(3)
    for second in range(4, 200):
        machine.waits(second)
        assert machine.look(second, 0.0) is Condition.LIVE


@pytest.mark.parametrize("told", Condition)
def test_silence_is_offline_unless_all_was_said(told: Condition) -> None:
    assert as_seen(told, 3.0, 50.0, 50.0 + SILENT_S) == (told, 3.0)
    over = told in (Condition.ENDED, Condition.FAILED, Condition.PAUSED)
    expected = (told, 3.0) if over or told is Condition.OFFLINE else (Condition.OFFLINE, 50.0)
    assert as_seen(told, 3.0, 50.0, 51.0 + SILENT_S) == expected
