"""/v1/events: what comes, in order, and what a client missed that comes back. And streams that are added by HTTP."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from dfd_core.queue.alarms import AlarmBook, Review
from dfd_core.queue.boards import publish_boards
from dfd_core.queue.streams import Order, StreamRegistry
from dfd_core.settings import Settings
from tests.fixtures_monitor import FAKE_FROM_TWO, announce, feed, wait_for, windows
from tests.test_alarms import alarm
from tests.test_serve import is_problem
from workers.serve import feed as feeds
from workers.serve.app import make_parts
from workers.serve.parts import Parts


class Listener:
    """One client: the events that it got, as (kind, data, id)."""

    def __init__(self, reply: httpx.Response) -> None:
        self.got: list[tuple[str, dict, str | None]] = []
        self._reply = reply
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            for line in self._reply.iter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif fields:
                    if "event" in fields:
                        self.got.append((fields["event"], json.loads(fields["data"]), fields.get("id")))
                    fields = {}
        except (httpx.HTTPError, httpx.StreamError):
            return

    def of(self, kind: str) -> list[dict]:
        return [data for found, data, _ in self.got if found == kind]

    def join(self) -> None:
        self._thread.join(60)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that soon notices who has gone."""
    monkeypatch.setattr("workers.serve.events.QUIET_S", 0.2)


@contextmanager
def listening(client: httpx.Client, last: str | None = None) -> Iterator[Listener]:
    headers = {} if last is None else {"last-event-id": last}
    with (
        httpx.Client(base_url=client.base_url, timeout=60, trust_env=False) as own,
        own.stream("GET", "/v1/events", headers=headers) as reply,
    ):
        assert reply.status_code == 200, reply.read()
        assert reply.headers["content-type"].startswith("text/event-stream")
        listener = Listener(reply)
        yield listener
        reply.close()
    listener.join()


def test_verdicts_alarms_and_states_come_and_none_is_missed_in_between(served, desk, redis_client):
    client = served()
    announce(redis_client, "cam", live=True)
    with listening(client) as first:
        feed(redis_client, *windows("cam", FAKE_FROM_TWO))
        desk.turns(2)
        publish_boards(redis_client, desk.monitor.boards())
        wait_for(lambda: bool(first.of("alarm")) and "fake" in [state["state"] for state in first.of("state")])
    assert [verdict["state"] for verdict in first.of("verdict")][-1] == "fake"
    (told,) = first.of("alarm")
    assert (told["what"], told["alarm"]["stream"], told["alarm"]["state"]) == ("opened", "cam", "open")
    last = [where for _, _, where in first.got if where][-1]
    AlarmBook(redis_client).review(told["alarm"]["id"], Review.CONFIRMED, None)  # while nobody listens
    with listening(client, last) as second:
        wait_for(lambda: bool(second.of("alarm")))
        assert [told["what"] for told in second.of("alarm")] == ["reviewed"]
        assert second.of("verdict") == []
        wait_for(lambda: bool(second.of("state")))  # who comes is told the present ones
    before = next(where for _, _, where in first.got if where)
    with listening(client, before) as third:
        wait_for(lambda: len(third.of("alarm")) == 2)
        assert third.of("verdict") == first.of("verdict")[1:]


def test_so_many_may_listen_and_a_place_is_free_again(served):
    client = served(**{"serve.event_clients": 1})
    with listening(client):
        wait_for(lambda: "dfd_serve_event_clients 1.0" in client.get("/metrics").text)
        reply = client.get("/v1/events")
        is_problem(reply, 503)
        assert reply.headers["retry-after"]
    wait_for(lambda: "dfd_serve_event_clients 0.0" in client.get("/metrics").text)
    with listening(client):
        pass


def test_streams_are_added_paused_and_removed(served, redis_client):
    client, registry = served(), StreamRegistry(redis_client)
    wish = {"name": "lobby", "url_env": "LOBBY_URL", "fps": 4, "labels": {"site": "north"}}
    reply = client.post("/v1/streams", json=wish)
    assert (reply.status_code, reply.json()) == (202, {"name": "lobby"})
    spec = registry.look().specs["lobby"]
    assert (spec.url_env, spec.numbers, spec.labels, spec.added) == ("LOBBY_URL", {"fps": 4.0}, {"site": "north"}, True)
    is_problem(client.post("/v1/streams", json=wish), 409)
    assert client.patch("/v1/streams/lobby", json={"paused": True}).status_code == 202
    assert registry.look().orders == {"lobby": Order.PAUSED}
    assert client.patch("/v1/streams/lobby", json={"paused": False}).status_code == 202
    assert registry.look().orders == {}
    assert client.delete("/v1/streams/lobby").status_code == 204
    assert (registry.look().specs, registry.look().orders) == ({}, {"lobby": Order.REMOVED})
    for method in (client.delete, lambda path: client.patch(path, json={"paused": True})):
        is_problem(method("/v1/streams/lobby"), 404)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a b", "url": "rtsp://host/1"},
        {"name": "a"},
        {"name": "a", "url": "rtsp://host/1", "url_env": "X"},
        {"name": "a", "url": "rtsp://user:sesame@host/1"},
        {"name": "a", "url": "rtsp://host/1?key=sesame"},
        {"name": "a", "url": "rtsp://host/1", "fps": -1},
        {"name": "a", "url": "rtsp://host/1", "enter": 7},
        {"name": "a", "url": "rtsp://host/1", "fbs": 1},
        {"name": "a", "url": "rtsp://host/1", "labels": {"Bad Key": "x"}},
    ],
)
def test_a_wrong_stream_is_refused_in_one_sentence_without_its_secrets(served, redis_client, wrong):
    said = is_problem(served().post("/v1/streams", json=wrong), 422)
    assert "sesame" not in said
    assert StreamRegistry(redis_client).look().specs == {}


async def behind(parts: Parts) -> tuple[list[str | None], str]:
    """What a client that takes nothing finds in its queue in the end, and what it is told when it comes back."""
    feed = feeds.Feed(parts)
    place = await feed.newest()
    await feed.start()
    slow, quick = feed.join()[0], feed.join()[0]
    for _ in range(4):
        parts.alarms.review(alarm(1).id, Review.CONFIRMED, None)
        assert "reviewed" in (await asyncio.wait_for(quick.get(), 60) or "")
    found = [slow.get_nowait() for _ in range(slow.qsize())]
    missed = "".join([each async for each in feed.between(place, await feed.newest())])
    assert feed.listeners == 2
    for queue in (slow, quick):
        feed.leave(queue)
    await parts.events.aclose()
    return found, missed


def test_who_is_far_behind_is_sent_away_and_loses_nothing(redis_url, redis_client, tiny_model, monkeypatch):
    monkeypatch.setattr(feeds, "WAITING", 2)
    AlarmBook(redis_client).open(alarm(1))
    parts = make_parts(Settings().with_values({"redis.url": redis_url, "model.path": str(tiny_model)}))
    found, missed = asyncio.run(behind(parts))
    assert None in found
    assert missed.count("event: alarm") == 4
    parts.redis.close()
