"""Whoever reads a live stream never waits for Redis, however that is away; each window is published, or told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from dfd_core.conditions import CalmNote
from dfd_core.queue import keys, records
from dfd_core.queue.broker import rq_queue
from dfd_core.queue.calm import tell_calm
from dfd_core.queue.connection import READ_TIMEOUT_S, open_client
from dfd_core.settings import Settings
from dfd_core.types import EndEvent, Outcome, WindowEvent
from ingest.outbox import KEPT, Outbox
from ingest.publisher import Publisher
from tests.chaos.proxy import Proxy
from tests.standins import windows
from tests.test_process import until

COUNT = 20


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    proxy = Proxy(urlsplit(redis_url).port or 0)
    yield proxy
    proxy.close()


def outbox(client: Redis) -> Outbox:
    return Outbox(Publisher(client, "cam", True, Settings(), threading.Event()))


def told(redis: Redis) -> dict[int, Outcome]:
    events = [records.parse_event(entry) for _, entry in redis.xrange(keys.RESULTS_KEY)]
    return {event.result.seq: event.result.outcome for event in events if isinstance(event, WindowEvent)}


def queued(redis: Redis) -> set[int]:
    return {int(name.rsplit("-", 1)[1]) for name in rq_queue(redis, live=True).job_ids}


def test_a_silent_redis_holds_up_nobody_and_each_window_is_told(redis_client: Redis, proxy: Proxy) -> None:
    settings = Settings().with_values({"redis.url": f"redis://127.0.0.1:{proxy.port}/0"}).redis
    with open_client(settings) as client:
        assert client.ping()
        box = outbox(client)
        proxy.dark = True
        began = time.monotonic()
        for window in windows(COUNT):
            box.publish(window)
        assert time.monotonic() - began < READ_TIMEOUT_S  # which the call in hand takes at least
        assert box.last_seq == COUNT - 1
        assert box.dropped["redis"] >= COUNT - KEPT - 1
        proxy.dark = False
        for window in windows(COUNT + 1)[-1:]:
            box.publish(window)
        box.end(None)
    assert COUNT in queued(redis_client)
    assert set(told(redis_client)) | queued(redis_client) == set(range(COUNT + 1))
    assert set(told(redis_client).values()) == {Outcome.DROPPED}
    assert box.dropped == {"redis": len(told(redis_client))}


def test_all_goes_on_in_order_and_the_end_comes_last(redis_client: Redis) -> None:
    box = outbox(redis_client)
    for window in windows(KEPT, faces=0):
        box.publish(window)
    box.end("stopped")
    events = [records.parse_event(entry) for _, entry in redis_client.xrange(keys.RESULTS_KEY)]
    seqs = [event.result.seq for event in events if isinstance(event, WindowEvent)]
    assert seqs == list(range(KEPT))
    assert events[-1] == EndEvent("cam", box.run, KEPT - 1, "stopped")


def test_what_is_no_fault_of_redis_comes_back_to_who_reads(redis_client: Redis) -> None:
    redis_client.set(keys.pending_key("cam"), "of another kind")
    box = outbox(redis_client)
    box.publish(windows(1)[0])
    until(lambda: box._error is not None)
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        box.publish(windows(1)[0])


def test_what_the_monitor_says_is_asked_beside_and_holds_for_a_moment(redis_client: Redis, proxy: Proxy) -> None:
    settings = Settings().with_values({"redis.url": f"redis://127.0.0.1:{proxy.port}/0"}).redis
    with open_client(settings) as client:
        box = outbox(client)
        note = CalmNote(box.run, 0, 1.0)
        tell_calm(redis_client, {"cam": note}, 60.0)
        until(lambda: box.calm_note() == note)
        box.leave_out(windows(1)[0])
        until(lambda: told(redis_client) == {0: Outcome.CALM})
        proxy.dark = True
        until(lambda: box.calm_note() is None)  # and nobody is held up by asking
        proxy.dark = False
        until(lambda: box.calm_note() == note)
        box.end(None)
    assert not box.dropped
