"""Who outside is told: a real web server and a real broker, good ones, slow ones, dead ones."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dfd_core.cli.main import main
from dfd_core.errors import SettingsError
from dfd_core.settings import Settings
from dfd_core.types import State, Verdict
from tests.fixtures_monitor import FAKE_FROM_TWO, announce, feed, wait_for, windows
from tests.fixtures_redis import free_port
from workers.monitor.notices import Notice
from workers.monitor.outside import check_outside, open_outside
from workers.monitor.relay import Relay
from workers.monitor.webhook import Webhook, sign

SECRET = b"a secret of the two of us"


def notice(number: int, state: State = State.FAKE, track: int = 1, final: bool = False, stream: str = "cam") -> Notice:
    verdict = Verdict(stream, track, state, 1.0, float(number), 0.9, {"noise": None})
    return Notice(f"{stream}/r1/{number}/{track}", verdict, "fake from 00:01", 100.0 + number, final)


class Receiver:
    """A web server that gives the `replies` one after the other, the last one for ever; 0 never answers."""

    def __init__(self, *replies: int) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        left, got, self.over = list(replies), self.got, threading.Event()
        over = self.over

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
                status = left.pop(0) if len(left) > 1 else left[0]
                if not status:
                    over.wait(60)
                self.send_response(status or 200)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://user:password@127.0.0.1:{self.server.server_port}/hook"

    def keys(self) -> list[str]:
        return [json.loads(body)["key"] for _, body in self.got]


@contextmanager
def receiver(*replies: int) -> Iterator[Receiver]:
    made = Receiver(*replies)
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        made.over.set()
        made.server.shutdown()
        made.server.server_close()
        thread.join()


@contextmanager
def relayed(url: str, dead: Path | None = None, waiting: int = 100, **values: float) -> Iterator[tuple[Relay, Counter]]:
    counted: Counter[str] = Counter()
    target = Webhook(url, SECRET, first_s=0.01, **values)
    relay = Relay(target, lambda name, outcome: counted.update([outcome]), dead, waiting=waiting)
    try:
        yield relay, counted
    finally:
        relay.close()


def test_a_webhook_gets_each_verdict_once_in_order_and_signed():
    with receiver(200) as there, relayed(there.url) as (relay, counted):
        relay.write([notice(1), notice(2)])
        relay.write([notice(1), notice(2)])  # the same turn again
        relay.write([notice(3)])
        wait_for(lambda: counted["delivered"] == 3)
    assert there.keys() == [notice(number).key for number in (1, 2, 3)]
    headers, body = there.got[0]
    assert headers["Dfd-Signature"] == sign(SECRET, headers["Dfd-Timestamp"], body)
    assert headers["Dfd-Signature"] != sign(SECRET, headers["Dfd-Timestamp"], body + b" ")
    assert headers["Dfd-Signature"] != sign(SECRET, "1", body)
    assert abs(time.time() - int(headers["Dfd-Timestamp"])) < 600
    assert (headers["Dfd-Key"], headers["Content-Type"]) == (notice(1).key, "application/json")
    assert Notice.parse(json.loads(body)) == notice(1)


def test_the_signature_is_that_of_the_published_algorithm():
    told = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", SECRET.decode()], input=b"12.{}", capture_output=True, check=True
    )
    assert sign(SECRET, "12", b"{}") == "sha256=" + told.stdout.decode().split()[-1]


@pytest.mark.parametrize("passing", [500, 503, 408, 429])
def test_what_may_pass_is_tried_again(passing):
    with receiver(passing, passing, 204) as there, relayed(there.url) as (relay, counted):
        relay.write([notice(1)])
        wait_for(lambda: counted["delivered"] == 1)
    assert there.keys() == [notice(1).key] * 3


@pytest.mark.parametrize("final", [400, 401, 404, 410, 301, 307])
def test_what_will_not_pass_is_a_dead_letter_at_once(final, tmp_path, caplog):
    dead = tmp_path / "dead.jsonl"
    with receiver(final, 200) as there, relayed(there.url, dead) as (relay, counted):
        relay.write([notice(1), notice(2)])
        wait_for(lambda: counted["delivered"] == 1)
    assert there.keys() == [notice(1).key, notice(2).key]  # nor is a redirect followed
    (letter,) = map(json.loads, dead.read_text().splitlines())
    assert letter["why"] == f"127.0.0.1 answers {final}"
    assert Notice.parse(letter["notice"]) == notice(1)
    assert "was not told of a verdict" in caplog.text
    assert "password" not in caplog.text + dead.read_text()


def test_a_server_that_is_away_is_given_up_in_the_end(tmp_path, caplog):
    dead = tmp_path / "dead.jsonl"
    with relayed(f"http://u:password@127.0.0.1:{free_port()}/", dead, give_up_s=0.3) as (relay, counted):
        relay.write([notice(1)])
        wait_for(lambda: counted["given_up"] == 1)
    assert json.loads(dead.read_text())["notice"]["key"] == notice(1).key
    assert "password" not in caplog.text + dead.read_text()


def test_a_server_that_hangs_delays_nothing_and_what_it_costs_is_counted(tmp_path):
    dead = tmp_path / "dead.jsonl"
    with receiver(0) as there:
        with relayed(there.url, dead, waiting=3, timeout_s=50.0) as (relay, counted):
            relay.write([notice(0)])
            wait_for(lambda: bool(there.got))
            began_s = time.monotonic()
            for number in range(1, 9):
                relay.write([notice(number)])
            assert time.monotonic() - began_s < 20  # 50 a notice, had it waited
            assert counted["dropped"] == 5
            there.over.set()
        assert counted["delivered"] + counted["given_up"] == 4
    assert counted["delivered"] >= 1


def test_dead_letters_that_cannot_be_kept_stop_nothing(tmp_path, caplog):
    with receiver(400) as there, relayed(there.url, tmp_path / "none" / "dead") as (relay, counted):
        relay.write([notice(1), notice(2)])
        wait_for(lambda: counted["given_up"] == 2)
    assert "was not told" in caplog.text


def test_the_monitor_tells_its_verdicts_to_a_webhook(desk, redis_client, tmp_path):
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    with receiver(200) as there:
        values = {"webhook.url": there.url, "webhook.secret_file": str(tmp_path / "secret")}
        desk.extra = open_outside(desk.settings.with_values(values), [], lambda sink, outcome: None)
        desk.restart()
        announce(redis_client, "cam", live=True)
        feed(redis_client, *windows("cam", FAKE_FROM_TWO))
        desk.turns(2)
        wait_for(lambda: "fake" in [json.loads(body)["state"] for _, body in there.got])
        desk.close()
    headers, body = there.got[0]
    assert headers["Dfd-Signature"] == sign(SECRET, headers["Dfd-Timestamp"], body)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"webhook.url": "ftp://host/"}, r"webhook\.url is no URL"),
        ({"webhook.url": "http://"}, r"webhook\.url is no URL"),
        ({"webhook.url": "http://host:99999/"}, r"webhook\.url is no URL"),
        ({"mqtt.url": "http://host"}, r"mqtt\.url is no URL"),
        ({"log.traces": "foo"}, r"log\.traces is no URL"),
        ({"mqtt.url": "mqtt://host", "mqtt.topic": "a/#"}, r"without \+ and #"),
        ({"webhook.url": "http://host", "webhook.secret_file": "/none"}, "No such file"),
    ],
)
def test_wrong_settings_are_told_before_anything_starts(values, said, tmp_path, redis_url, capsys):
    with pytest.raises(SettingsError, match=said):
        check_outside(Settings().with_values(values))
    flags = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    assert main(["monitor", "--redis", redis_url, *flags]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "short").write_text("short")
    with pytest.raises(SettingsError, match="shorter than 16"):
        check_outside(
            Settings().with_values({"webhook.url": "http://h", "webhook.secret_file": str(tmp_path / "short")})
        )


def test_user_and_password_of_the_url_are_sent_in_a_header():
    with receiver(200) as there, relayed(there.url.replace("password", "pass%2Fword")) as (relay, counted):
        relay.write([notice(1)])
        wait_for(lambda: counted["delivered"] == 1)
    headers, _ = there.got[0]
    assert headers["authorization"] == "Basic " + base64.b64encode(b"user:pass/word").decode()


@pytest.mark.parametrize("url", ["http://u:a/b@host/", "http://to?ken@host", "http://to#ken@host/x"])
def test_a_password_that_ends_the_hosts_name_is_refused_and_not_repeated(url):
    with pytest.raises(SettingsError) as raised:
        check_outside(Settings().with_values({"webhook.url": url}))
    assert not {"a/b", "ken"} & {part for part in ("a/b", "ken") if part in str(raised.value)}
