import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from rq import SimpleWorker, Worker
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from dfd_core.queue import keys, records
from dfd_core.queue.arrays import unpack_segment
from dfd_core.queue.broker import rq_queue
from dfd_core.queue.poison import KEPT, kept_windows, set_aside
from dfd_core.settings import QueueSettings, Settings, WorkerSettings
from dfd_core.types import Outcome, Window
from tests.fixtures_worker import Rig
from tests.standins import POISON, MeanScorer, RaisingScorer, segment, windows
from workers.fleet.recovery import Recovery
from workers.windows import jobs
from workers.windows.jobs import score_jobs
from workers.windows.scoring import empty_result


@pytest.fixture
def rig(redis_client, monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)  # burst workers run in the test's own process
    return Rig(redis_client)


def test_windows_of_several_streams_are_scored_in_one_batch(rig):
    rig.publish(windows(3), "cam")
    rig.publish(windows(2, stream="two"), "two", live=False)
    rig.work()
    results, count = rig.results()
    assert rig.scorer.batches == [[0, 1, 2, 0, 1]]
    assert count == 5
    assert {r.outcome for r in results.values()} == {Outcome.SCORED}
    assert results["cam", 2].scores[0].fake_probability == pytest.approx(1.5 / 255)
    assert rig.redis.keys("dfd:segment:*") == []
    assert rig.redis.keys("dfd:pending:*") == []
    assert len(rig.redis.keys("dfd:features:*")) == 5


@pytest.mark.parametrize("live", [True, False])
def test_a_stale_live_window_costs_no_scoring_and_the_next_is_scored_on_what_remains(rig, live):
    old, new = windows(2)
    long_ago = replace(old.segments[0], captured_at_s=time.time() - QueueSettings().stale_s - 1)
    publisher = rig.publish([Window((long_ago,))], live=live)
    rig.work()
    publisher.publish(new)
    rig.work()
    results, count = rig.results()
    assert count == 2
    assert results["cam", 0].outcome == (Outcome.NOT_SCORABLE if live else Outcome.SCORED)
    assert results["cam", 0].reason == ("stale: its newest frame is older than 15 s" if live else None)
    assert rig.scorer.batches == ([[1]] if live else [[0], [1]])
    assert results["cam", 1].scores[0].fake_probability == pytest.approx((1 if live else 0.5) / 255)
    assert rig.redis.keys("dfd:segment:*") == []


def test_what_was_measured_is_told_however_long_it_took(rig, monkeypatch):
    class Late(MeanScorer):
        def score(self, items):
            clock.now += QueueSettings().stale_s
            return super().score(items)

    rig = Rig(rig.redis, Late(Settings()))
    clock = SimpleNamespace(now=time.time())
    monkeypatch.setattr("dfd_core.queue.clock.RedisClock.now_s", lambda _: clock.now)
    rig.publish(windows(2))
    rig.work()
    results, _ = rig.results()
    assert {r.outcome for r in results.values()} == {Outcome.SCORED}


def test_the_life_of_a_job_is_that_of_rq(rig):
    rig.publish(windows(1))
    queue = rig.worker("unused").queues[0]
    seen = {}

    def look(started):
        seen["started"] = queue.started_job_registry.get_job_ids()
        seen["status"] = Job.fetch(seen["started"][0], rig.redis, JSONSerializer).get_status()
        seen["workers"] = [(w.name, w.get_state(), w.queue_names()) for w in Worker.all(connection=rig.redis)]
        seen["intermediate"] = queue.intermediate_queue.get_job_ids()
        return score_jobs(rig.batch, started)

    worker = rig.worker(run_jobs=look)
    worker.work(burst=True, logging_level="ERROR")
    assert seen["status"] == "started"
    assert seen["workers"] == [("w1", "busy", [keys.LIVE_QUEUE, keys.FILE_QUEUE])]
    assert seen["intermediate"] == []
    worker.refresh()
    assert worker.successful_job_count == 1
    assert queue.started_job_registry.count == 0
    assert rig.redis.keys("rq:job:*") == []
    assert Worker.count(connection=rig.redis) == 0


def test_live_windows_come_first_and_batches_are_bounded(rig):
    rig.settings = WorkerSettings(batch_windows=2)
    rig.publish(windows(2, stream="file"), "file", live=False)
    rig.publish(windows(3))
    rig.work()
    assert rig.scorer.batches == [[0, 1], [2, 0], [1]]


def test_overlapping_windows_use_what_was_measured_before(rig):
    publisher = rig.publish(windows(1))
    rig.work()
    for window in windows(2)[1:]:
        publisher.publish(window)
    rig.work()
    results, _ = rig.results()
    assert results["cam", 1].scores[0].fake_probability == pytest.approx(0.5 / 255)
    assert rig.sample("dfd_worker_crops_total") == 8


def test_windows_whose_pixels_are_gone_expire(rig):
    publisher = rig.publish(windows(2))
    rig.redis.delete(keys.segment_key("cam", publisher.run, 1))
    rig.work()
    results, count = rig.results()
    assert count == 2
    assert results["cam", 1].outcome == Outcome.EXPIRED
    assert "no worker came" in results["cam", 1].reason


def test_a_window_is_scored_on_what_remains(rig):
    publisher = rig.publish(windows(2)[1:])
    assert not rig.redis.exists(keys.segment_key("cam", publisher.run, 0))
    rig.work()
    results, _ = rig.results()
    assert results["cam", 1].scores[0].fake_probability == pytest.approx(1 / 255)
    assert results["cam", 1].start_s == 1.0


def test_damaged_pixels_fail_with_the_reason(rig):
    publisher = rig.publish(windows(1))
    rig.redis.set(keys.segment_key("cam", publisher.run, 0), b"garbage")
    rig.work()
    results, _ = rig.results()
    assert (results["cam", 0].outcome, results["cam", 0].reason) == (
        Outcome.FAILED,
        "A payload in Redis was not written by dfd.",
    )


def test_what_raises_is_retried_alone_and_fails_alone(redis_client, rig):
    rig = Rig(redis_client, RaisingScorer(Settings()))
    good = windows(4, stream="cam")
    bad = segment(0, stream="bad", value=POISON)
    rig.publish(good)
    rig.publish([type(good[0])((bad,))], "bad")
    rig.work()
    results, count = rig.results()
    assert count == 5
    assert [results["cam", seq].outcome for seq in range(4)] == [Outcome.SCORED] * 4
    assert results["bad", 0].outcome == Outcome.FAILED
    assert results["bad", 0].reason == "RuntimeError: a poisoned crop"
    assert rig.sample("dfd_worker_errors_total") == 1 + keys.RETRIES
    ((_, reason, kept),) = kept_windows(redis_client).values()
    assert reason == "RuntimeError: a poisoned crop"
    assert unpack_segment(kept["segment:0"]).tracks[0].crops.max() == POISON
    assert redis_client.get(keys.POISON_COUNT_KEY) == b"1"
    failed = FailedJobRegistry(queue=rq_queue(redis_client, live=True))
    assert len(failed.get_job_ids()) == 1
    assert redis_client.keys("dfd:segment:*") == []


def test_what_is_kept_of_windows_set_aside_is_bounded(rig):
    publisher = rig.publish(windows(KEPT + 3, side=8))
    for seq in range(KEPT + 3):
        job = Job.fetch(keys.job_id("cam", publisher.run, seq), rig.redis, JSONSerializer)
        header = records.parse_header(job.kwargs["header"])
        failed = empty_result(header, Outcome.FAILED, "why")
        assert set_aside(rig.redis, header, failed)
        assert not set_aside(rig.redis, header, failed)
    assert [header.seq for header, _, _ in kept_windows(rig.redis).values()] == list(range(3, KEPT + 3))
    assert len(rig.redis.keys("dfd:poison:cam-*")) == KEPT
    assert rig.redis.get(keys.POISON_COUNT_KEY) == str(KEPT + 3).encode()
    assert all(rig.redis.ttl(key) > 0 for key in rig.redis.keys("dfd:poison:cam-*"))
    assert rig.results()[1] == KEPT + 3


def test_a_window_that_is_scored_twice_has_one_result(rig):
    publisher = rig.publish(windows(1))
    header = records.parse_header(
        Job.fetch(keys.job_id("cam", publisher.run, 0), rig.redis, JSONSerializer).kwargs["header"]
    )
    assert rig.batch.run([header, header]) == [None, None]
    assert rig.batch.run([header]) == [None]
    assert rig.results()[1] == 1
    assert rig.sample("dfd_worker_windows_total", outcome="scored") == 1


def test_heartbeats_go_on_while_a_batch_runs(rig, monkeypatch):
    monkeypatch.setattr("workers.fleet.worker.HEARTBEAT_S", 0.05)
    rig.publish(windows(2))
    registry = rq_queue(rig.redis, live=True).started_job_registry
    beats = []

    def slow(started):
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up and (len(beats) < 2 or beats[-1][0] == beats[0][0]):
            beats.append(sorted(score for _, score in rig.redis.zrange(registry.key, 0, -1, withscores=True)))
            time.sleep(0.2)
        return score_jobs(rig.batch, started)

    rig.worker(run_jobs=slow).work(burst=True, logging_level="ERROR")
    assert len(beats[0]) == len(beats[-1]) == 2
    assert beats[-1][0] > beats[0][0]
    assert rig.results()[1] == 2
    assert rig.redis.keys("rq:job:*") == []


def test_jobs_that_a_worker_took_and_never_began_are_queued_again(rig):
    rig.publish(windows(2))
    assert len(rig.worker()._take(8, 0.1)) == 2
    recovery = Recovery(rig.redis)
    recovery.sweep()
    assert rq_queue(rig.redis, live=True).count == 0
    recovery.sweep()
    assert rq_queue(rig.redis, live=True).count == 2
    rig.work()
    assert rig.results()[1] == 2
    assert rq_queue(rig.redis, live=True).intermediate_queue.get_job_ids() == []


def test_two_supervisors_queue_a_lost_job_once(rig):
    rig.publish(windows(1))
    assert len(rig.worker()._take(8, 0.1)) == 1
    queue, recoveries = rq_queue(rig.redis, live=True), [Recovery(rig.redis), Recovery(rig.redis)]
    (job_id,) = queue.intermediate_queue.get_job_ids()  # both see it before either acts
    assert [recovery.put_back(queue, job_id) for recovery in recoveries] == [True, False]
    assert queue.job_ids == [job_id]


def test_foreign_jobs_fail_and_harm_nobody(rig):
    queue = rq_queue(rig.redis, live=True)
    rig.publish(windows(1))
    queue.enqueue(keys.JOB_FUNCTION, header={"v": 99})
    rig.work()
    assert rig.results()[1] == 1
    assert len(FailedJobRegistry(queue=queue).get_job_ids()) == 1


def test_a_plain_rq_worker_can_run_the_job(rig, monkeypatch):
    monkeypatch.setattr(jobs, "own_scorer", lambda: rig.scorer)
    monkeypatch.setattr("dfd_core.environment.os.environ", {})
    rig.publish(windows(2))
    queue = rq_queue(rig.redis, live=True)
    SimpleWorker([queue], connection=rig.redis, serializer=JSONSerializer).work(burst=True, logging_level="ERROR")
    assert rig.results()[1] == 2


@pytest.fixture
def old_names(monkeypatch):
    """What publishers of older versions wrote into their jobs."""
    monkeypatch.setattr(keys, "JOB_FUNCTION", "workers.jobs.score_window")
    monkeypatch.setattr(keys, "FAILURE_FUNCTION", "workers.jobs.window_failed")


@pytest.mark.usefixtures("old_names")
def test_jobs_of_older_versions_are_scored(rig, monkeypatch):
    monkeypatch.setattr(jobs, "own_scorer", lambda: rig.scorer)
    monkeypatch.setattr("dfd_core.environment.os.environ", {})
    rig.publish(windows(2, stream="a"), "a")
    rig.work()
    rig.publish(windows(3, stream="b"), "b")
    queue = rq_queue(rig.redis, live=True)
    SimpleWorker([queue], connection=rig.redis, serializer=JSONSerializer).work(burst=True, logging_level="ERROR")
    results, count = rig.results()
    assert count == 5
    assert {result.outcome for result in results.values()} == {Outcome.SCORED}


@pytest.mark.usefixtures("old_names")
def test_jobs_of_older_versions_that_fail_are_told(redis_client, monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)
    rig = Rig(redis_client, RaisingScorer(Settings()))
    rig.publish(windows(1, value=POISON))
    rig.work()
    assert {result.outcome for result in rig.results()[0].values()} == {Outcome.FAILED}


def test_metrics_of_a_worker(rig):
    rig.publish(windows(3))
    rig.work()
    assert rig.sample("dfd_worker_batch_windows_count") == 1
    assert rig.sample("dfd_worker_batch_windows_sum") == 3
    assert rig.sample("dfd_worker_scoring_seconds_count") == 1
    assert rig.sample("dfd_worker_crops_total") == 12
    assert rig.sample("dfd_worker_windows_total", outcome="expired") == 0
