"""Alarms: from window results to records that people review, on a real server with a real monitor."""

from __future__ import annotations

from dataclasses import asdict

from dfd_core.queue import keys
from dfd_core.queue.alarms import Alarm, AlarmBook, AlarmState, Review, alarm_id
from dfd_core.queue.boards import publish_boards, read_boards
from dfd_core.types import EndEvent, State
from tests.fixtures_monitor import CALM, FAKE_FROM_TWO, announce, feed, window, windows
from workers.monitor.keeper import Listener


def alarm(number: int, **values) -> Alarm:
    fields = {"stream": "cam", "track": 1, "run": "r1", "since_s": 1.0, "opened_s": 2.0, "worst_probability": 0.7}
    return Alarm(id=alarm_id(str(number)), **{**fields, "opened_at_s": float(number), **values})


def test_an_alarm_opens_once_and_ends_with_its_face(desk, redis_client):
    announce(redis_client, "cam", live=True)
    feed(redis_client, *windows("cam", FAKE_FROM_TWO))
    desk.turns(2)
    book = AlarmBook(redis_client)
    (opened,) = book.find()
    assert (opened.stream, opened.track, opened.run, opened.state) == ("cam", 3, "r1", AlarmState.OPEN)
    assert opened.since_s == 2.0
    assert opened.opened_s > opened.since_s
    assert opened.worst_probability == 0.9
    redis_client.hdel(keys.MONITOR_KEY, "run:cam", "cursor", "anchor")  # the next monitor reads all of it again
    desk.restart()
    desk.turns(2)
    assert [found.id for found in book.find()] == [opened.id]
    feed(redis_client, *(window("cam", seq, 0.1) for seq in range(7, 16)))
    desk.turns(2)
    (ended,) = book.find()
    assert (ended.id, ended.state) == (opened.id, AlarmState.ENDED)
    assert ended.closed_s > opened.opened_s
    assert ended.closed_at_s >= opened.opened_at_s
    assert [entry[b"what"] for _, entry in redis_client.xrange(keys.ALARM_NEWS_KEY)] == [b"opened", b"ended"]
    assert book.lasting() == {}


def test_the_end_of_a_source_ends_its_alarms_and_no_others(desk, redis_client):
    announce(redis_client, "cam", live=True)
    announce(redis_client, "door", live=True)
    feed(redis_client, *windows("cam", FAKE_FROM_TWO), *windows("door", FAKE_FROM_TWO))
    feed(redis_client, EndEvent("cam", "r1", 6, None))
    desk.turns(2)
    states = {found.stream: found.state for found in AlarmBook(redis_client).find()}
    assert states == {"cam": AlarmState.ENDED, "door": AlarmState.OPEN}


def test_who_listens_keeps_windows_from_before_and_the_worst(desk, redis_client):
    announce(redis_client, "cam", live=True)
    listener = Listener(redis_client)
    feed(redis_client, *windows("cam", FAKE_FROM_TWO), *windows("calm", CALM))
    desk.turns(2)
    listener.turn(10)
    book = AlarmBook(redis_client)
    (opened,) = book.find()
    assert [score.fake_probability for score in book.windows(opened.id)] == FAKE_FROM_TWO
    feed(redis_client, window("cam", 7, 0.97), window("cam", 8, 0.5))
    listener.turn(10)
    assert (book.get(opened.id).worst_probability, book.get(opened.id).checks) == (0.97, {"appearance": 0.97})
    assert book.get(opened.id).model == "m"
    late = Listener(redis_client)  # one that comes while it lasts says nothing twice
    feed(redis_client, window("cam", 9, 0.6))
    late.turn(10)
    assert [score.seq for score in book.windows(opened.id)] == list(range(10))
    assert book.get(opened.id).worst_probability == 0.97
    book.close("cam", "r1", 3, 30.0, book.get(opened.id).opened_at_s + 9)
    feed(redis_client, window("cam", 10, 0.99))
    late.turn(10)
    feed(redis_client, window("cam", 11, 0.99))
    late.turn(10)
    assert [score.seq for score in book.windows(opened.id)][-1] <= 10


def test_a_repeated_end_does_not_end_the_next_alarm(redis_client):
    book = AlarmBook(redis_client)
    book.open(alarm(1))
    book.close("cam", "r1", 1, 5.0, 2.0)
    book.open(alarm(3))
    book.close("cam", "r1", 1, 5.0, 2.0)  # the monitor repeats its last turn
    assert [found.state for found in book.find()] == [AlarmState.OPEN, AlarmState.ENDED]
    assert not book.open(alarm(1))
    assert book.get(alarm(1).id).state is AlarmState.ENDED


def test_reviews_stay_whatever_else_is_written(redis_client):
    book = AlarmBook(redis_client)
    book.open(alarm(1))
    book.review(alarm(1).id, Review.FALSE_ALARM, None)
    book.close("cam", "r1", 1, 5.0, 2.0)
    book.review(alarm(1).id, None, "a poster")
    found = book.get(alarm(1).id)
    assert (found.review, found.note, found.state) == (Review.FALSE_ALARM, "a poster", AlarmState.ENDED)
    assert found.reviewed_at_s is not None
    assert book.review("none", Review.CONFIRMED, None) is None
    assert found.to_dict() == {**asdict(found), "state": "ended"}


def test_the_oldest_make_room(redis_client, monkeypatch):
    monkeypatch.setattr(keys, "ALARMS_CAP", 3)
    book = AlarmBook(redis_client)
    for number in range(5):
        book.open(alarm(number, track=number))
    assert [found.track for found in book.find()] == [4, 3, 2]
    assert len(redis_client.keys("dfd:alarm:*")) == 3
    book.close("cam", "r1", 0, 9.0, 9.0)
    assert len(book.lasting()) == 4
    assert book.find(limit=1, offset=1) == [book.get(alarm(3).id)]
    assert book.find(stream="door") == []
    assert len(book.find(state=AlarmState.OPEN, review=Review.NONE)) == 3


def test_boards_tell_of_each_face(desk, redis_client):
    announce(redis_client, "cam", live=True)
    feed(redis_client, *windows("cam", FAKE_FROM_TWO))
    desk.turns(2)
    publish_boards(redis_client, desk.monitor.boards())
    board = read_boards(redis_client)["cam"]
    assert (board.state, board.doing, [face.track for face in board.faces]) == (State.FAKE, "live", [3])
    assert board.faces[0].fake_probability == 0.9
    publish_boards(redis_client, [])
    assert read_boards(redis_client) == {}
