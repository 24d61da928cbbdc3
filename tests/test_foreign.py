"""Whatever lies in Redis under our names: it is a record of ours, or a WireError, and hurts no neighbour."""

from __future__ import annotations

import json
import os
import struct
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rq.job import Job
from rq.serializers import JSONSerializer

from dfd_core.errors import WireError
from dfd_core.queue import arrays, keys, records
from dfd_core.queue.bulk import BulkQueue
from dfd_core.queue.jobs import OwnJob
from dfd_core.queue.submitted import parse_file
from dfd_core.types import Outcome
from tests.fixtures_worker import Rig
from tests.standins import windows
from tests.test_wire import segment
from workers.fleet.recovery import Recovery

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
HEADER = records.header_json(records.WindowHeader("cam", "a1", 4, (3, 4), 0.5, 2.0, 1.7e9, True, 900))
FILE = {
    "v": records.VERSION,
    "path": "a",
    "place": "/a",
    "digest": "d",
    "size": 1,
    "model": "m",
    "submitted_at_s": 1.0,
    "absolute": "/a",
    "columns": {"case": "A"},
}
EVENT = {
    "v": records.VERSION,
    "kind": "window",
    "run": "r",
    "result": {
        "stream": "s",
        "seq": 1,
        "outcome": "failed",
        "start_s": 0,
        "end_s": 1,
        "captured_at_s": 2,
        "scores": [],
    },
}
PARSERS = {
    "header": (records.parse_header, HEADER),
    "file": (parse_file, FILE),
    "event": (lambda data: records.parse_event({b"event": json.dumps(data).encode()}), EVENT),
    "verdict": (lambda data: records.parse_verdict({b"verdict": json.dumps(data).encode()}), {"v": records.VERSION}),
    "status": (lambda data: records.parse_status(json.dumps(data).encode()), {"v": records.VERSION}),
    "model": (lambda data: records.parse_model(json.dumps(data).encode()), {"v": records.VERSION, "name": "m"}),
}


def parsed(parse, data):
    """The record, or None where it is foreign: nothing else is raised."""
    try:
        return parse(data)
    except WireError:
        return None


@pytest.mark.parametrize("kind", PARSERS)
@settings(max_examples=150)
@given(data=st.data())
def test_records_of_arbitrary_values_are_ours_or_foreign(kind, data):
    parse, good = PARSERS[kind]
    value = data.draw(json_values)
    parsed(parse, value)
    key = data.draw(st.sampled_from(sorted(good)))
    parsed(parse, {**good, key: value})
    parsed(parse, {**good, data.draw(st.text(max_size=5)): value})
    parsed(parse, {name: old for name, old in good.items() if name != key})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stream", 1), ("run", None), ("seq", "x"), ("seq", 1.5), ("seq", True), ("segments", 5), ("segments", []),
        ("segments", ["1"]), ("segments", [0] * 2000),
        ("start_s", "now"), ("end_s", float("nan")), ("captured_at_s", float("inf")),
        ("live", "yes"), ("size", "big"), ("size", None), ("stream", "\ud800"), ("stream", [[]]),
    ],
)  # fmt: skip
def test_a_header_of_wrong_types_is_foreign(field, value):
    assert parsed(records.parse_header, HEADER) is not None
    assert parsed(records.parse_header, {**HEADER, field: value}) is None


def payload_with(data, **changes):
    """A payload whose header differs in some fields."""
    size = struct.unpack_from("<I", data, 6)[0]
    header = json.dumps({**json.loads(data[10 : 10 + size]), **changes}).encode()
    return data[:6] + struct.pack("<I", len(header)) + header + data[10 + size :]


def without_times(data):
    """A payload whose frames have no times: NaN."""
    start = 10 + struct.unpack_from("<I", data, 6)[0]
    return data[:start] + b"\xff" * 8 + data[start + 8 :]


SEGMENT = arrays.pack_segment(segment())


@settings(max_examples=300)
@given(st.sampled_from(["stream", "seq", "captured_at_s", "follows", "n", "tracks"]), json_values)
def test_payloads_whose_header_has_arbitrary_values(field, value):
    for unpack in (arrays.unpack_segment, arrays.unpack_features):
        parsed(unpack, payload_with(SEGMENT, **{field: value}))


@settings(max_examples=300)
@given(st.binary(max_size=80), st.integers(0, len(SEGMENT)), st.integers(0, 200))
def test_payloads_with_other_bytes_in_them(noise, start, length):
    for unpack in (arrays.unpack_segment, arrays.unpack_features):
        parsed(unpack, noise)
        parsed(unpack, SEGMENT[:10] + noise)
        parsed(unpack, SEGMENT[:start] + noise + SEGMENT[start + length :])


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"1" * 9000, b"\xff\xfe", b'{"v":2,"name":1e999}', b"NaN", b'{"v":2,"v":3}']
)
def test_json_that_breaks_readers(text):
    assert parsed(records.parse_model, text) is None
    head = SEGMENT[:6] + struct.pack("<I", len(text))
    assert parsed(arrays.unpack_segment, head + text) is None


DAMAGED = {
    "no features": lambda data: payload_with(data, follows=None),
    "wrong tracks": lambda data: payload_with(data, tracks=[[1]]),
    "another segment": lambda data: payload_with(data, seq=77),
    "another stream": lambda data: payload_with(data, stream="other"),
    "no time": lambda data: payload_with(data, captured_at_s=float("nan")),
    "half a frame": lambda data: payload_with(data, n=1.5),
    "cut": lambda data: data[:-1],
    "no times": without_times,
}


@pytest.fixture
def rig(redis_client, monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return Rig(redis_client)


@pytest.mark.parametrize("spoil", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_payload_settles_its_window_and_hurts_no_neighbour(spoil, rig):
    publisher = rig.publish(windows(1))
    for stream in ("two", "three"):
        rig.publish(windows(1, stream=stream), stream)
    key = keys.segment_key("cam", publisher.run, 0)
    rig.redis.set(key, spoil(rig.redis.get(key)))
    rig.work()
    results, count = rig.results()
    outcomes = {stream: result.outcome for (stream, _), result in results.items()}
    assert outcomes == {"cam": Outcome.FAILED, "two": Outcome.SCORED, "three": Outcome.SCORED}
    assert count == 3
    assert rig.redis.keys("dfd:pending:*") == []


@pytest.mark.parametrize("kwargs", [{"header": 5}, {"header": {**HEADER, "segments": 5}}, {}, {"header": {"v": 99}}])
def test_a_foreign_job_hurts_no_neighbour(kwargs, rig):
    rig.publish(windows(2))
    queue = rig.worker("unused").queues[0]
    queue.enqueue_call(keys.JOB_FUNCTION, kwargs=kwargs, job_id="foreign", at_front=True)
    rig.work()
    results, _ = rig.results()
    assert {result.outcome for result in results.values()} == {Outcome.SCORED}
    assert len(results) == 2
    assert Job.fetch("foreign", rig.redis, JSONSerializer).is_failed


def test_a_job_whose_data_are_no_json_hurts_no_neighbour(rig):
    rig.publish(windows(2))
    queue = rig.worker("unused").queues[0]
    queue.enqueue_call(keys.JOB_FUNCTION, kwargs={"header": 5}, job_id="foreign", at_front=True)
    rig.redis.hset("rq:job:foreign", "data", b"\x80\x04pickle")
    rig.work()
    assert len(rig.results()[0]) == 2


EVIL = "tests.programs.never_imported.act"


@pytest.fixture
def never_imported(monkeypatch):
    """Fails where anybody imported or called what a job named."""
    monkeypatch.delitem(sys.modules, "tests.programs.never_imported", raising=False)
    monkeypatch.delenv("DFD_TEST_IMPORTED", raising=False)
    yield
    assert "DFD_TEST_IMPORTED" not in os.environ
    assert "tests.programs.never_imported" not in sys.modules


def enqueue_foreign(rig, job_id, function, **names):
    """A job with our header that names whatever its writer likes."""
    queue = rig.worker("unused").queues[0]
    queue.enqueue_call(function, kwargs={"header": HEADER}, job_id=job_id, at_front=True)
    webhook = json.dumps([{"url": "http://127.0.0.1:1/", "job_status": "failed"}])
    rig.redis.hset(f"rq:job:{job_id}", mapping={**names, "webhooks": webhook})


@pytest.mark.parametrize("function", [EVIL, "os.system", "builtins.print", "workers.windows.jobs.own_scorer"])
@pytest.mark.usefixtures("never_imported")
def test_a_job_that_names_another_function_is_not_run(function, rig):
    rig.publish(windows(2))
    enqueue_foreign(rig, "foreign", function)
    rig.work()
    assert {result.outcome for result in rig.results()[0].values()} == {Outcome.SCORED}
    foreign = OwnJob.fetch("foreign", rig.redis, JSONSerializer)
    assert foreign.is_failed
    with pytest.raises(WireError, match="names a function that is none of dfd's"):
        _ = foreign.func


@pytest.mark.usefixtures("never_imported")
def test_callbacks_that_are_none_of_ours_are_not_called_by_workers_nor_by_who_cleans_up(rig):
    names = {f"{kind}_callback_name": EVIL for kind in ("success", "failure", "stopped")}
    enqueue_foreign(rig, "done", keys.JOB_FUNCTION, **names)
    rig.work()
    enqueue_foreign(rig, "abandoned", keys.JOB_FUNCTION, **names)
    worker = rig.worker()
    worker._start(worker._take(8, 0.1))
    registry = worker.queues[0].started_job_registry
    rig.redis.zadd(registry.key, dict.fromkeys(rig.redis.zrange(registry.key, 0, -1), 1))
    Recovery(rig.redis).sweep()
    assert OwnJob.fetch("abandoned", rig.redis, JSONSerializer).is_failed


HUGE = {
    "many frames": {"n": 2**40},
    "none": {"n": 0},
    "negative": {"n": -1},
    "a large crop": {"tracks": [[0, 60, 2**31, False]]},
    "no crop": {"tracks": [[0, 60, 0, False]]},
    "many tracks": {"tracks": [[track, 60, 1, False] for track in range(1000)]},
    "a long header": {"stream": "x" * 100_000},
}


@pytest.mark.parametrize("changes", HUGE.values(), ids=HUGE)
def test_sizes_that_no_window_has_are_refused_before_anything_is_made_of_them(changes):
    payload = payload_with(SEGMENT, **changes)
    tracemalloc.start()
    try:
        assert parsed(arrays.unpack_segment, payload) is None
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_no_more_is_read_than_a_payload_may_have(rig, monkeypatch):
    monkeypatch.setattr(arrays, "MOST_BYTES", 20_000)
    publisher = rig.publish(windows(2))
    rig.redis.setrange(keys.segment_key("cam", publisher.run, 1), 50_000, b"x")
    rig.work()
    results, _ = rig.results()
    assert [results["cam", seq].outcome for seq in range(2)] == [Outcome.SCORED, Outcome.FAILED]
    assert "larger than" in results["cam", 1].reason


def test_a_foreign_file_in_the_bulk_queue_hurts_no_neighbour(request):
    rig = request.getfixturevalue("redis_client")
    book = BulkQueue(rig)
    rig.hset(keys.BULK_FILES_KEY, "x", json.dumps({**FILE, "size": "big"}))
    with pytest.raises(WireError, match="A BulkFile in Redis does not have the fields path, place"):
        book.entries()
