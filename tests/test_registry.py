"""Streams wished for through Redis: what ingest takes up, obeys and tells, on a real server without processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from redis import Redis

from dfd_core.cli.main import main
from dfd_core.cli.streams import listing
from dfd_core.conditions import Condition
from dfd_core.errors import SettingsError
from dfd_core.queue import keys, records
from dfd_core.queue.streams import Order, StreamRegistry
from dfd_core.settings import Settings
from dfd_core.streams import StreamSpec
from dfd_core.types import StreamState, StreamStatus
from ingest.wanted import Own, Wanted, of_arguments, of_file
from tests.fixtures_monitor import Desk, announce, feed, windows
from workers.monitor.metrics import MonitorMetrics

SETTINGS = Settings()
NOTHING = Own((), {})


def serving(client: Redis, own: Own = NOTHING, owner: str = "one") -> Wanted:
    return Wanted(client, own, SETTINGS, takes=True, owner=owner)


def file_of(tmp_path: Path, text: str) -> Own:
    path = tmp_path / "dfd.toml"
    path.write_text(text)
    return of_file(path, SETTINGS)


def test_added_streams_are_taken_by_one_ingest_and_by_another_once_it_lets_go(redis_client: Redis) -> None:
    registry, one, two = StreamRegistry(redis_client), serving(redis_client), serving(redis_client, owner="two")
    registry.add(StreamSpec("lobby", url="rtsp://cam/1", numbers={"fps": 3.0}))
    (task,) = one.look().values()
    assert (task.name, task.url, task.settings.video.sample_fps) == ("lobby", "rtsp://cam/1", 3.0)
    assert two.look() == {}
    assert 0 < redis_client.pttl(keys.owner_key("lobby")) <= 10_000  # a dead one loses it
    one.release()
    assert list(two.look()) == ["lobby"]
    assert one.look() == {}


def test_pause_resume_and_remove_are_obeyed_by_who_reads_the_stream(redis_client: Redis, tmp_path: Path) -> None:
    own = file_of(tmp_path, "[streams.door]\nurl = 'rtsp://cam/2'\n")
    registry, wanted = StreamRegistry(redis_client), serving(redis_client, own)
    registry.add(StreamSpec("lobby", url="rtsp://cam/1"))
    both = {"door", "lobby"}
    for name in ("door", "lobby"):
        assert set(wanted.look()) == both
        registry.order(name, Order.PAUSED)
        assert set(wanted.look()) == both - {name}
        assert wanted.paused == {name}
        wanted.tell_paused(name)
        registry.order(name, None)
        assert set(wanted.look()) == both
        registry.order(name, Order.REMOVED)
        both.remove(name)
        assert name not in wanted.look()
        assert registry.look().orders == {}
    again = serving(redis_client, own, "two")  # what stands in a file is back when that is read again
    assert list(again.look()) == ["door"]
    with pytest.raises(SettingsError, match=r"There is no stream attic: `dfd streams list` shows those that there are"):
        registry.order("attic", Order.PAUSED)


def test_a_file_read_again_changes_only_what_it_says_otherwise(redis_client: Redis, tmp_path: Path) -> None:
    text = "[streams.a]\nurl = 'rtsp://cam/a'\n[streams.b]\nurl = 'rtsp://cam/b'\n"
    wanted = serving(redis_client, file_of(tmp_path, text))
    before = wanted.look()
    wanted.replace(file_of(tmp_path, text.replace("cam/b'", "cam/b'\nfps = 2") + "[streams.c]\nurl = 'x'\n"), SETTINGS)
    after = wanted.look()
    assert after["a"] == before["a"]
    assert after["b"] != before["b"]
    assert list(after) == ["a", "b", "c"]
    wanted.replace(file_of(tmp_path, "[streams.a]\nurl = 'rtsp://cam/a'\nenabled = false\n"), SETTINGS)
    assert wanted.look() == {}
    assert list(StreamRegistry(redis_client).look().specs) == ["a"]


def test_what_an_emptied_redis_forgot_is_told_again(redis_client: Redis, tmp_path: Path) -> None:
    wanted = serving(redis_client, file_of(tmp_path, "[streams.door]\nurl = 'rtsp://u:hunter2@cam/2'\nenter = 0.9\n"))
    StreamRegistry(redis_client).add(StreamSpec("lobby", url_env="PATH"))
    before = wanted.look()
    redis_client.flushall()
    assert wanted.look() == before
    specs = StreamRegistry(redis_client).look().specs
    assert {name: spec.added for name, spec in specs.items()} == {"door": False, "lobby": True}
    assert specs["door"].numbers == {"enter": 0.9}
    assert b"hunter2" not in b"".join(redis_client.hvals(keys.WANTED_KEY))


def test_sources_of_a_command_line_stay_those(redis_client: Redis) -> None:
    StreamRegistry(redis_client).add(StreamSpec("lobby", url="rtsp://cam/1"))
    own = of_arguments(["clip.mp4", "clip.mp4"], SETTINGS)
    assert list(Wanted(redis_client, own, SETTINGS, takes=False, owner="one").look()) == ["clip-mp4", "clip-mp4-2"]


def test_an_address_that_is_not_here_is_told_once_and_left_to_others(redis_client: Redis, caplog) -> None:  # type: ignore[no-untyped-def]
    wanted = serving(redis_client)
    StreamRegistry(redis_client).add(StreamSpec("lobby", url_env="NO_SUCH_VARIABLE"))
    for _ in range(3):
        assert wanted.look() == {}
    assert caplog.text.count("Stream lobby: the variable NO_SUCH_VARIABLE of url_env is not set.") == 1
    (listed,) = listing(redis_client, 0.0)
    assert (listed.condition, listed.error is not None) == (Condition.FAILED, True)
    assert redis_client.get(keys.owner_key("lobby")) is None


def streams(url: str, *argv: str) -> int:
    return main(["streams", *argv, "--redis", url])


@pytest.fixture
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfd_core.cli.streams.WAIT_S", 0.0)


@pytest.mark.usefixtures("no_wait")
def test_the_command_adds_and_lists_and_says_that_nobody_acts(redis_url: str, capsys) -> None:  # type: ignore[no-untyped-def]
    flags = ["--url-env", "LOBBY_URL", "--fps", "4", "--enter", "0.9", "--label", "site=north", "--live", "true"]
    assert streams(redis_url, "add", "lobby", *flags) == 0
    assert capsys.readouterr().out == (
        "lobby is wished for, but no ingest acted within 0 s: start one with `dfd ingest` (without SOURCE).\n"
    )
    assert streams(redis_url, "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert (listed["stream"], listed["condition"], listed["error"]) == ("lobby", "offline", "no ingest reads it")
    assert (listed["labels"], listed["numbers"]) == ({"site": "north"}, {"fps": 4.0, "enter": 0.9})
    assert streams(redis_url, "list") == 0
    assert "site=north" in capsys.readouterr().out


@pytest.mark.usefixtures("no_wait")
@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["add", "cam", "--url", "rtsp://admin:hunter2@h/1"], "The URL has a user, a password or a query, which all"),
        (["add", "cam", "--url", "ftp://admin:hunter2@h/1"], "ftp://h/1 is of no kind that is read"),
        (["add", "cam", "--url", "rtsp://h/user=admin_password=hunter2"], "The URL has a user, a password or a query"),
        (["add", "cam", "--url", "http://h/1?token=hunter2"], "The URL has a user, a password or a query, which all"),
        (["add", "cam"], "`dfd streams add cam` has no address: give it url, url_env or url_file."),
        (["add", "c/m", "--url", "x"], "'c/m' cannot be a stream's name: take up to 64 letters, digits, - and _."),
        (["add", "cam", "--url", "x", "--fps", "many"], "fps in `dfd streams add cam` must be a number, not 'many'."),
        (["add", "cam", "--url", "x", "--label", "site"], "--label takes KEY=TEXT, not 'site'."),
        (["add", "here", "--url", "x"], "There is a stream here already: remove it first, or choose another name."),
        (["add"], "dfd streams add needs the NAME of a stream."),
        (["pause"], "dfd streams pause needs the NAME of a stream."),
        (["pause", "cam"], "There is no stream cam: `dfd streams list` shows those that there are."),
        (["list", "cam"], "There is no stream cam: `dfd streams list` shows those that there are."),
    ],
)
def test_what_is_wrong_with_a_command_is_one_sentence(
    argv: list[str],
    sentence: str,
    redis_url: str,
    redis_client: Redis,
    capsys,  # type: ignore[no-untyped-def]
) -> None:
    StreamRegistry(redis_client).add(StreamSpec("here", url="x"))
    assert streams(redis_url, *argv) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"dfd: {sentence}")
    assert "hunter2" not in error
    assert list(StreamRegistry(redis_client).look().specs) == ["here"]


def test_a_stream_of_its_own_numbers_has_its_own_verdicts(desk: Desk, redis_client: Redis) -> None:
    StreamRegistry(redis_client).announce(
        [
            StreamSpec("strict", numbers={"enter": 0.3, "exit": 0.2}),
            StreamSpec("lax", numbers={"min_duration_s": 100.0}),
        ]
    )
    for name in ("strict", "lax", "cam"):
        announce(redis_client, name, live=True)
        feed(redis_client, *windows(name, [0.1, 0.5, 0.5, 0.5, 0.7, 0.7, 0.7, 0.7]))
    desk.turns(2)
    assert desk.states("strict") == ["authentic", "suspect", "fake"]
    assert desk.states("lax") == ["authentic", "suspect"]
    assert desk.states("cam") == ["authentic", "suspect", "fake"]
    began = {line["stream"]: line["since_s"] for line in desk.lines() if line["state"] == "fake"}
    assert began == {"strict": 1.0, "cam": 4.0}


def test_labels_and_conditions_are_served_and_leave_with_their_stream() -> None:
    registry = CollectorRegistry()
    metrics = MonitorMetrics(registry)
    specs = {
        "cam": StreamSpec("cam", labels={"site": "north"}),
        "door": StreamSpec("door", labels={"floor": "2"}, added=True),
    }
    status = StreamStatus("cam", "r", StreamState.LIVE, True, "x", 1e12, condition=Condition.FROZEN, since_at_s=7.0)
    metrics.streams(specs, {"cam": status}, ())
    value = registry.get_sample_value
    assert value("dfd_stream_info", {"stream": "cam", "site": "north", "floor": ""}) == 1
    assert value("dfd_stream_state", {"stream": "cam", "state": "frozen"}) == 1
    assert value("dfd_stream_state", {"stream": "cam", "state": "live"}) == 0
    assert value("dfd_stream_state_since_timestamp_seconds", {"stream": "cam"}) == 7.0
    assert value("dfd_stream_state", {"stream": "door", "state": "offline"}) == 1  # added, and nobody reads it
    silent = StreamStatus("cam", "r", StreamState.LIVE, True, "x", 5.0, condition=Condition.LIVE)
    metrics.streams({}, {"cam": silent}, {"cam"})
    assert value("dfd_stream_state", {"stream": "cam", "state": "offline"}) == 1  # silent since long
    assert value("dfd_stream_state_since_timestamp_seconds", {"stream": "cam"}) == 5.0
    assert value("dfd_stream_state", {"stream": "door", "state": "offline"}) is None


def test_foreign_records_are_passed_over(redis_client: Redis) -> None:
    StreamRegistry(redis_client).announce([StreamSpec("cam")])
    redis_client.hset(keys.WANTED_KEY, "torn", b'{"v":')
    redis_client.hset(keys.WANTED_KEY, "other", records.dumps({"name": 7}))
    redis_client.hset(keys.ORDERS_KEY, "cam", b"paused")
    wishes = StreamRegistry(redis_client).look()
    assert (list(wishes.specs), wishes.orders) == (["cam"], {})
