"""Two ingests never read streams of one name: the second is told whose it is, and takes over once that is gone."""

from pathlib import Path

import pytest
from redis import Redis

from dfd_core.cli.main import main
from dfd_core.queue import keys
from ingest.claims import PATIENCE_S, Claims
from tests.test_ingest import statuses, write_video


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_name_is_read_by_one_ingest_and_by_the_next_once_that_ends(redis_client: Redis, caplog) -> None:  # type: ignore[no-untyped-def]
    clock = Clock()
    first, second = (Claims(redis_client, owner, clock) for owner in ("host:1:a", "host:2:b"))
    assert first.hold(["cam", "door"]) == {"cam", "door"}
    for _ in range(3):
        assert second.hold(["cam", "hall"]) == {"hall"}
    assert second.refused == {"cam": "host:1"}
    assert caplog.text.count("Another ingest (host:1) reads a stream cam") == 1
    assert second.may_change
    clock.now_s = PATIENCE_S
    assert not second.may_change
    first.hold(["door"])  # it reads cam no more
    assert second.hold(["cam", "hall"]) == {"cam", "hall"}
    assert second.refused == {}
    second.release(["cam", "hall"])
    assert redis_client.keys("dfd:owner:*") == [b"dfd:owner:door"]


def test_an_ingest_that_was_away_for_long_finds_its_name_taken(redis_client: Redis) -> None:
    clock = Clock()
    first, second = (Claims(redis_client, owner, clock) for owner in ("host:1:a", "host:2:b"))
    first.hold(["cam"])
    assert 0 < redis_client.pttl(keys.owner_key("cam")) <= 5000
    redis_client.delete(keys.owner_key("cam"))  # as time does
    assert second.hold(["cam"]) == {"cam"}
    clock.now_s = 10.0
    assert first.hold(["cam"]) == set()
    redis_client.flushall()
    clock.now_s = 20.0
    assert second.hold(["cam"]) == {"cam"}


def ingest(url: str, *sources: Path) -> int:
    return main(["ingest", *map(str, sources), "--redis", url, "--set", "metrics.ingest_port=-1"])


def test_the_second_of_two_files_of_one_name_is_refused_with_a_sentence(
    redis_client: Redis, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("ingest.claims.PATIENCE_S", 0.3)
    redis_client.set(keys.owner_key("clip-mp4"), "elsewhere:7:abc")
    assert ingest(redis_url, tmp_path / "clip.mp4") == 1
    said = capfd.readouterr().err
    assert "dfd: clip-mp4: Another ingest (elsewhere:7) reads a stream of this name: stop that one" in said
    assert statuses(redis_client) == {}
    assert redis_client.get(keys.owner_key("clip-mp4")) == b"elsewhere:7:abc"


@pytest.mark.slow
def test_what_a_killed_ingest_held_is_read_soon(redis_client: Redis, redis_url: str, tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4")
    redis_client.set(keys.owner_key("clip-mp4"), "elsewhere:7:abc", px=1000)
    assert ingest(redis_url, tmp_path / "clip.mp4") == 0
    assert statuses(redis_client)["clip-mp4"].frames == 24
    assert redis_client.keys("dfd:owner:*") == []
