"""Where verdicts go, one contract for all sinks, and how results are put in order before."""

import io
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from redis import Redis

from dfd_core.errors import DataError
from dfd_core.queue import keys
from dfd_core.queue.alarms import AlarmBook, alarm_id
from dfd_core.types import (
    State,
    Verdict,
)
from workers.monitor.notices import Notice, describe
from workers.monitor.reorder import Reorder
from workers.monitor.sinks import AlarmSink, JsonlSink, LineSink, RedisSink, Sink


class Kept:
    """A sink's maker and a reader of the keys that it holds."""

    def __init__(self, make: Callable[[], Sink], keys: Callable[[], list[str]]) -> None:
        self.make, self.keys = make, keys


@pytest.fixture(params=["jsonl", "redis", "alarms", "lines"])
def kept(request: pytest.FixtureRequest, redis_client: Redis, tmp_path: Path) -> Kept:
    if request.param == "jsonl":
        path = tmp_path / "v.jsonl"
        return Kept(
            lambda: JsonlSink(path), lambda: [json.loads(line)["key"] for line in path.read_text().splitlines()]
        )
    if request.param == "redis":
        return Kept(
            lambda: RedisSink(redis_client),
            lambda: [entry[b"key"].decode() for _, entry in redis_client.xrange(keys.VERDICTS_KEY)],
        )
    if request.param == "alarms":  # the notices are of one face, so that each alarm ends the one before
        names = {alarm_id(key): key for key in "abcd"}
        book = AlarmBook(redis_client)
        return Kept(lambda: AlarmSink(redis_client), lambda: [names[alarm.id] for alarm in reversed(book.find())])
    out = io.StringIO()
    sink = LineSink(out, as_json=True)  # standard output remembers nothing of an earlier process
    return Kept(lambda: sink, lambda: [json.loads(line)["key"] for line in out.getvalue().splitlines()])


def notice(key: str) -> Notice:
    verdict = Verdict("cam", 1, State.FAKE, 14.2, 20.0, 0.9, {"noise": None})
    return Notice(key, verdict, describe(verdict), float(ord(key)))


def test_every_sink_keeps_notices_in_order_and_only_once(kept: Kept) -> None:
    sink = kept.make()
    sink.write([])
    sink.write([notice("a"), notice("b")])
    sink.write([notice("a"), notice("b")])  # the same turn again
    sink.close()
    sink = kept.make()  # a new process, that does not know how far the last one came
    sink.write([notice("a"), notice("b"), notice("c")] if kept.keys() else [])
    sink.write([notice("d")])
    sink.close()
    assert kept.keys() == ["a", "b", "c", "d"]


def test_a_torn_last_line_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text(notice("a").json() + '\n{"event": "ver')
    sink = JsonlSink(path)
    sink.write([notice("a"), notice("b")])
    sink.close()
    lines = path.read_text().splitlines()
    assert len(lines) == 3
    assert json.loads(lines[2])["key"] == "b"


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Cannot write verdicts to .*: No such file or directory"):
        JsonlSink(tmp_path / "none" / "v.jsonl")


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: the kernel then takes a part, and nothing after that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 1, 100, 400])
def test_a_full_disk_costs_the_lines_that_it_does_not_take_and_is_told(room: int, tmp_path: Path, caplog) -> None:  # type: ignore[no-untyped-def]
    path, counted = tmp_path / "v.jsonl", []
    sink = JsonlSink(path, lambda *what: counted.append(what))
    with room_for(room):
        sink.write([notice("a"), notice("b")])
        sink.write([notice("c")])
    assert counted == [("file", "dropped")] * 3
    assert caplog.text.count("Verdicts are lost") == 1
    sink.write([notice("d")])
    sink.close()
    lines = path.read_text().splitlines()
    assert json.loads(lines[-1])["key"] == "d"
    assert len(lines) <= 3
    assert "are written to" in caplog.text
    assert "3 were lost" in caplog.text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is of Linux")
def test_standard_output_on_a_full_disk_ends_nothing(caplog) -> None:  # type: ignore[no-untyped-def]
    counted: list[tuple[str, str]] = []
    with suppress(OSError), open("/dev/full", "w") as full:
        LineSink(full, count=lambda *what: counted.append(what)).write([notice("a"), notice("b")])
        assert counted == [("file", "dropped")] * 2
        assert "standard output: No space left on device" in caplog.text


def test_reorder_gives_each_item_once_in_order() -> None:
    order: Reorder[str] = Reorder()
    assert order.push(1, "b", 0.0)
    assert list(order.pop(0.0, 5.0)) == []
    assert order.push(0, "a", 1.0)
    assert list(order.pop(1.0, 5.0)) == ["a", "b"]
    assert not order.push(1, "again", 1.0)
    assert order.push(4, "e", 2.0)
    assert not order.push(4, "again", 2.0)
    assert order.waiting() == ["e"]
    assert list(order.pop(6.9, 5.0)) == []
    assert list(order.pop(7.0, 5.0)) == ["e"]
    assert (order.next, order.given_up) == (5, 2)


def test_nothing_waits_longer_than_the_patience() -> None:
    order: Reorder[int] = Reorder()
    order.push(2, 2, 0.0)
    order.push(5, 5, 3.0)
    assert list(order.pop(5.0, 5.0)) == [2]
    assert list(order.pop(7.9, 5.0)) == []
    assert list(order.pop(8.0, 5.0)) == [5]
