"""Two hundred cameras with a password each, through a system at work: no part of any is found in what it writes."""

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from redis import Redis

from dfd_core.cli.main import main
from dfd_core.environment import load_streams
from dfd_core.errors import DfdError, QueueError, SettingsError, VideoError
from dfd_core.process.logs import HumanLines, JsonLines
from dfd_core.queue import keys, records
from dfd_core.queue.alarms import AlarmBook
from dfd_core.queue.broker import connect
from dfd_core.queue.lease import new_owner
from dfd_core.settings import RedisSettings, Settings
from dfd_core.types import StreamStatus
from ingest.metrics import StreamCollector
from ingest.publisher import Publisher
from ingest.pump import Pump
from ingest.reader import Reader
from ingest.sources import open_source
from ingest.stream import _failed
from ingest.wanted import Own, Wanted, of_arguments
from tests.fixtures_monitor import FAKE_FROM_TWO, Desk, feed, windows
from tests.passwords import PASSWORDS, addresses, told
from tests.test_outside import notice
from workers.evidence.facts import Facts
from workers.monitor.outside import check_outside
from workers.monitor.relay import Relay
from workers.monitor.webhook import Webhook

SETTINGS = Settings()
SCHEMES = ("rtsp", "http", "srt", "rtmp")


class Once(threading.Event):
    """Over as soon as anybody waits for it."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return True


def cameras() -> Own:
    """Two hundred, fifty of each kind, whose names are made from their addresses."""
    urls = [list(addresses(SCHEMES[n % 4], f"127.0.0.1:1/{n}"))[n] for n in range(len(PASSWORDS))]
    return of_arguments(urls, SETTINGS)


def tried(url: str, name: str, redis: Redis) -> StreamStatus:
    """What ingest says of a camera that it tried once."""
    once = Once()
    try:
        source = open_source(url, SETTINGS.video, name)
        pump = Pump(source, Publisher(redis, name, source.live, SETTINGS, once), SETTINGS, threading.Event())
        for _ in source._connected(once) if source.live else source.frames():
            raise AssertionError("nobody listens there")
    except VideoError as error:
        return _failed(url, name, str(error))
    return pump.status()


def dump(redis: Redis) -> str:
    """All keys with all that they hold."""
    read: dict[bytes, Callable[[Any], Any]] = {
        b"hash": redis.hgetall, b"string": redis.get, b"stream": redis.xrange, b"set": redis.smembers,
        b"zset": lambda key: redis.zrange(key, 0, -1), b"list": lambda key: redis.lrange(key, 0, -1),
    }  # fmt: skip
    found = {key: read[redis.type(key)](key) for key in redis.scan_iter()}
    return "\n".join(f"{key!r} {value!r}" for key, value in found.items())


def outside(tmp_path: Path) -> None:
    """A webhook and a broker whose addresses hold the passwords; nobody is there, or they cannot be used."""
    dead = tmp_path / "dead.jsonl"
    for number, url in enumerate(addresses("http", "127.0.0.1:1/hook")):
        for key, address in (("webhook.url", url), ("mqtt.url", url.replace("http", "mqtt", 1))):
            try:
                check_outside(SETTINGS.with_values({key: address}))
            except SettingsError as error:
                logging.warning("%s", error)
        if number % 4 and number % 3:  # quoted, so that it can be used
            relay = Relay(Webhook(url, b"", give_up_s=0.0), lambda name, outcome: None, dead)
            relay.write([notice(number)])
            relay.close()


@pytest.mark.slow
def test_no_password_is_found_anywhere(
    desk: Desk, redis_client: Redis, redis_url: str, tmp_path: Path, served: Callable[..., httpx.Client],
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("ingest.pump.FaceFinder", lambda settings: None)  # loads a model, and no picture comes
    own, doors = cameras(), dict[str, str]()
    wanted = Wanted(redis_client, own, SETTINGS, takes=False, owner=new_owner())
    tasks = wanted.look()
    assert len(tasks) == len(PASSWORDS)
    statuses = [tried(task.url, task.name, redis_client) for task in tasks.values()]
    assert {status.error is not None for status in statuses} == {True}
    for status in statuses:
        redis_client.hset(keys.STREAMS_KEY, status.stream, records.pack_status(status))
        feed(redis_client, *windows(status.stream, FAKE_FROM_TWO))
    registry = CollectorRegistry()
    StreamCollector(lambda: statuses, registry)
    doors["metrics of ingest"] = generate_latest(registry).decode()
    desk.turns(3)
    doors["metrics of the monitor"] = generate_latest(desk.registry).decode()
    doors["what the monitor prints"] = desk.printed.getvalue() + "\n".join(desk.said)
    doors["verdicts in a file"] = desk.path.read_text()
    outside(tmp_path)
    doors["dead letters"] = (tmp_path / "dead.jsonl").read_text()
    doors["evidence"] = evidence(redis_client)
    for words in (["streams", "list"], ["streams", "list", "--json"], ["doctor"], ["jobs"], ["results"]):
        main([*words, "--redis", redis_url])
    doors["commands"] = "".join(capfd.readouterr())
    doors["API"] = asked(served(**{"serve.requests_per_minute": 10**6}))
    for task in list(tasks.values())[:4]:
        reader = Reader(task, redis_client)
        reader._report(statuses[0].state, f"the process that read {task.name} died")
        wanted.tell_paused(task.name)
    doors["Redis"] = dump(redis_client)
    doors["logs"] = logs(caplog)
    assert [door for door, text in doors.items() if len(text) < 100] == []
    assert {door: found for door, text in doors.items() if (found := told(text))} == {}


def evidence(redis: Redis) -> str:
    """What a bundle of each alarm says beside its pictures."""
    facts = Facts(SETTINGS)
    alarms = AlarmBook(redis).find(limit=1000)
    assert len(alarms) == len(PASSWORDS)
    return "\n".join(json.dumps(facts.of(redis, alarm.stream) | alarm.to_dict()) for alarm in alarms)


def asked(client: httpx.Client) -> str:
    """What a program is answered, also where it sends what belongs elsewhere."""
    texts = [client.get(path).text for path in ("/v1/streams", "/v1/alarms", "/metrics", "/readyz")]
    for number, url in enumerate(addresses("rtsp", "127.0.0.1:1/1")):
        wish = [{"name": "cam", "url": url}, {"name": url, "url": "x"}, {"name": "cam", "url_env": url}][number % 3]
        texts.append(client.post("/v1/streams", json=wish).text)
    return "\n".join(texts)


def logs(caplog: pytest.LogCaptureFixture) -> str:
    """In both forms."""
    return "\n".join(form.format(record) for record in caplog.records for form in (JsonLines(), HumanLines()))


def test_who_is_refused_by_redis_is_not_told_with_which_password(redis_url: str) -> None:
    place = redis_url.removeprefix("redis://")
    for password in PASSWORDS[::10]:
        settings = RedisSettings(url=f"redis://nobody:{password}@{place}")
        with pytest.raises(QueueError) as raised:
            connect(settings)
        assert not told(f"{raised.value} {raised.value!r} {settings!r}")


def test_a_settings_file_that_is_wrong_is_told_of_without_what_it_holds(tmp_path: Path) -> None:
    said = []
    for number, url in enumerate(addresses("rtsp", "cam/1")):
        text = json.dumps(url).replace("\x7f", "")
        lines = [f"fps = {text}", f"live = {text}", f"{text} = 1", f"url_env = {text}", f"labels = {{{text} = 'x'}}"]
        path = tmp_path / "dfd.toml"
        path.write_text(f"[streams.cam]\nurl = {text}\n{lines[number % 5]}\n")
        with pytest.raises(DfdError) as raised:
            load_streams(path, SETTINGS)
        said.append(str(raised.value))
    assert not told("\n".join(said))


def test_a_log_line_loses_a_user_that_nobody_took_out() -> None:
    for form in (JsonLines(), HumanLines()):
        for password in PASSWORDS:
            record = logging.LogRecord("x", 30, "", 1, "Cannot open %s: no", (f"rtsp://me:{password}@cam/1",), None)
            assert not told(form.format(record))
            assert "cam/1: no" in form.format(record)


def test_what_has_no_secret_is_logged_as_it_is() -> None:
    record = logging.LogRecord("x", 30, "", 1, "rtsp://cam/1 is lost; 3@4 of a@b", (), None)
    assert HumanLines("%(message)s").format(record) == "rtsp://cam/1 is lost; 3@4 of a@b"
