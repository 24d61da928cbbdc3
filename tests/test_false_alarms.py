"""What people call a false alarm raises the stream's own threshold, and the monitor then raises none over the same."""

from __future__ import annotations

import pytest

from dfd_core.cli.main import main
from dfd_core.judging.calibration import read_thresholds, write_thresholds
from dfd_core.queue.alarms import AlarmBook, Review
from dfd_core.types import EndEvent, Thresholds
from tests.fixtures_monitor import announce, feed, windows
from workers.monitor.keeper import Listener

POSTER = [0.1, 0.2, 0.8, 0.82, 0.81, 0.8, 0.79]


@pytest.fixture
def judged(desk, redis_client):
    """An alarm of cam, and one of door that lasts, with their windows."""
    listener = Listener(redis_client)
    for stream, probabilities in (("cam", POSTER), ("door", [0.1, 0.2, *[0.97] * 5])):
        announce(redis_client, stream, live=True)
        feed(redis_client, *windows(stream, probabilities))
    desk.turns(2)
    listener.turn(10)
    book = AlarmBook(redis_client)
    assert len(book.find()) == 2
    return book


def test_the_monitor_is_silent_over_what_was_called_false(judged, desk, redis_url, redis_client, tmp_path, capsys):
    out = tmp_path / "thresholds.toml"
    write_thresholds(out, {"hall": Thresholds(0.9, 0.8)})
    command = ["calibrate", "cam", "--false-alarms", "--redis", redis_url, "--out", str(out)]
    assert main(command) != 0
    said = capsys.readouterr().err
    assert said.startswith("dfd: No alarm of cam")
    assert said.count("\n") == 1
    (alarm,) = judged.find(stream="cam")
    judged.review(alarm.id, Review.FALSE_ALARM, None)
    assert main(command) == 0
    assert "above 1 false alarms" in capsys.readouterr().out
    own = read_thresholds(out)
    assert own["cam"].enter > 0.82
    assert set(own) == {"cam", "hall"}  # door's was not called false
    desk.settings = desk.settings.with_values({"verdict.thresholds": str(out)})
    desk.restart()
    feed(redis_client, EndEvent("cam", "r1", 6, None), EndEvent("door", "r1", 6, None))
    desk.turns(2)
    for stream in ("cam", "door"):
        announce(redis_client, stream, live=True, run="r2")
    desk.monitor._look()  # as twice a second
    feed(redis_client, *windows("cam", POSTER, "r2"), *windows("door", [0.1, 0.2, *[0.97] * 5], "r2"))
    desk.turns(3)
    assert [found.stream for found in judged.find() if found.run == "r2"] == ["door"]


def test_a_threshold_is_never_lowered(judged, redis_url, tmp_path, capsys):
    out = tmp_path / "thresholds.toml"
    write_thresholds(out, {"cam": Thresholds(0.995, 0.9)})
    (alarm,) = judged.find(stream="cam")
    judged.review(alarm.id, Review.FALSE_ALARM, None)
    assert main(["calibrate", "cam", "--false-alarms", "--redis", redis_url, "--out", str(out)]) == 0
    assert "its threshold of 0.995 is above" in capsys.readouterr().out
    assert read_thresholds(out) == {"cam": Thresholds(0.995, 0.9)}
