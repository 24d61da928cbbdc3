"""What a careless user or an attacker sends to `dfd serve`, byte for byte: a problem in one sentence."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from dfd_core.queue.alarms import AlarmBook
from dfd_core.queue.streams import StreamRegistry
from dfd_core.settings import Settings
from tests.fixtures_serve import running
from tests.test_alarms import alarm
from tests.test_serve import is_problem

FORM, JSON = b"Content-Type: multipart/form-data", b"Content-Type: application/json"
REQUESTS = {
    "NUL in an id": (b"GET /v1/files/%00", b"", 422),
    "no UTF-8 in a name": (b"GET /v1/streams/%ff%fe", b"", 404),
    "NUL in a name": (b"GET /v1/streams/a%00b", b"", 404),
    "up and away": (b"GET /v1/../../etc/passwd", b"", 404),
    "up and away, encoded": (b"GET /%2e%2e/%2e%2e/etc/passwd", b"", 404),
    "encoded twice": (b"GET /v1/streams/%252e%252e%252fetc", b"", 404),
    "a backslash": (b"GET /v1\\files", b"", 404),
    "two slashes": (b"GET //v1//files", b"", 404),
    "a slash at the end": (b"GET /v1/files/", b"", 404),
    "a slash at the end of another host": (b"GET //evil.example/", b"", 404),
    "a semicolon": (b"GET /v1/files;x=1", b"", 404),
    "OPTIONS as browsers ask": (
        b"OPTIONS /v1/files",
        b"Origin: http://evil\r\nAccess-Control-Request-Method: GET",
        405,
    ),
    "TRACE": (b"TRACE /v1/files", b"", 405),
    "HEAD": (b"HEAD /v1/files", b"", 405),
    "a form without a boundary": (b"POST /v1/files", FORM + b"\r\n\r\nabc", 400),
    "a form that breaks its boundary": (b"POST /v1/files", FORM + b"; boundary=x\r\n\r\nabc", 400),
    "a boundary without an end": (b"POST /v1/score", FORM + b"; boundary=" + b"a" * 300 + b"\r\n\r\nabc", 400),
    "a list for an object": (b"POST /v1/streams", JSON + b"\r\n\r\n[]", 422),
    "lists in lists": (b"POST /v1/streams", JSON + b"\r\n\r\n" + b"[" * 100_000, 400),
    "no UTF-8": (b"POST /v1/streams", JSON + b'\r\n\r\n"\xff\xfe"', 400),
    "a number that is none": (b"POST /v1/streams", JSON + b'\r\n\r\n{"name":"a","url":"rtsp://h/x","fps":NaN}', 422),
    "an endless number": (b"POST /v1/streams", JSON + b'\r\n\r\n{"name":"a","url":"rtsp://h/x","fps":1e999}', 422),
    "NUL in a path": (b"POST /v1/streams", JSON + b"\r\n\r\n" + rb'{"name":"a","url_file":"x\u0000y"}', 422),
    "half a pair in a path": (b"POST /v1/streams", JSON + b"\r\n\r\n" + rb'{"name":"a","url_file":"\ud800"}', 422),
    "half a pair in a label": (
        b"POST /v1/streams",
        JSON + b"\r\n\r\n" + rb'{"name":"a","url":"rtsp://h/x","labels":{"site":"\ud800"}}',
        422,
    ),
    "a limit beyond all": (b"GET /v1/files?limit=99999999999999999999999999", b"", 422),
    "a place that is no text": (b"GET /v1/events", b"Last-Event-ID: \xff\xff", 400),
    "more than anybody sends": (b"POST /v1/files", b"Expect: 100-continue\r\nContent-Length: 99999999999", 413),
    "two hosts": (b"GET /v1/files", b"Host: evil", 403),
}


def answer(port: int, line: bytes, rest: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    head, blank, body = rest.partition(b"\r\n\r\n")
    lines = [line + b" HTTP/1.1", b"Host: 127.0.0.1", b"Connection: close", *([head] if head else [])]
    if b"Host:" in head:
        lines[1:2] = []
    if blank:
        lines.append(b"Content-Length: %d" % len(body))
    with socket.create_connection(("127.0.0.1", port), 60) as peer:
        peer.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        told = b"".join(iter(lambda: peer.recv(65536), b""))
    head, _, body = told.partition(b"\r\n\r\n")
    first, *others = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), dict(other.lower().split(": ", 1) for other in others), body


@pytest.fixture(scope="module")
def port(valkey_url):
    """Of a server for all of these."""
    settings = Settings().with_values(
        {"redis.url": valkey_url, "model.path": str(Path(__file__).parent / "data" / "tiny_model")}
    )
    with running(settings) as client:
        yield client.base_url.port


@pytest.mark.parametrize("name", REQUESTS)
def test_what_is_wrong_is_a_problem_in_one_sentence(name, port):
    line, rest, wanted = REQUESTS[name]
    status, headers, body = answer(port, line, rest)
    assert (status, headers["content-type"]) == (wanted, "application/problem+json")
    assert "location" not in headers
    assert not [header for header in headers if header.startswith("access-control")]
    if not line.startswith(b"HEAD"):
        told = json.loads(body)
        assert set(told) == {"type", "title", "status", "detail"}
        assert re.fullmatch(r"[^\n]{10,400}", told["detail"])
        assert told["status"] == wanted


def test_nothing_of_it_was_kept(redis_client, port):
    assert StreamRegistry(redis_client).look().specs == {}


def test_half_a_pair_in_a_note_is_refused_and_breaks_no_reply(served, redis_client):
    AlarmBook(redis_client).open(alarm(1))
    client = served()
    path = f"/v1/alarms/{alarm(1).id}"
    for body in (rb'{"note": "a\ud800b"}', rb'{"review": "\ud800"}'):
        is_problem(client.patch(path, content=body, headers={"content-type": "application/json"}), 422)
    assert client.get(path).json()["note"] == ""
