"""A worker whose Redis goes away, refuses, hangs or is emptied while a batch is in hand."""

import threading
import time

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError
from rq import Worker

from dfd_core.queue import keys
from dfd_core.queue.broker import rq_queue
from dfd_core.settings import Settings
from dfd_core.types import Outcome
from tests.faulty_redis import REFUSALS, frozen, server
from tests.fixtures_worker import Rig
from tests.standins import MeanScorer, windows
from workers.fleet.recovery import Recovery
from workers.fleet.worker import HEARTBEAT_TTL_S
from workers.windows.jobs import score_jobs
from workers.windows.loading import load_windows


@pytest.fixture
def rig(redis_client, monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)  # burst workers run in the test's own process
    return Rig(redis_client)


def test_a_redis_that_was_emptied_is_told_of_the_worker_and_the_model_again(rig, monkeypatch):
    monkeypatch.setattr("workers.fleet.worker.HEARTBEAT_S", 0.05)
    told = []

    def flush(started):
        before = [(w.name, w.pid, w.birth_date) for w in Worker.all(connection=rig.redis)]
        rig.redis.flushall()
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up and not (told and Worker.all(connection=rig.redis)):
            told.clear()
            time.sleep(0.05)
        assert [(w.name, w.pid, w.birth_date) for w in Worker.all(connection=rig.redis)] == before
        assert [w.name for w in Worker.all(queue=rq_queue(rig.redis, live=True))] == ["w1"]
        return [None] * len(started)

    rig.publish(windows(1))
    worker = rig.worker(run_jobs=flush, announce=lambda: told.append(1))
    worker.work(burst=True, logging_level="ERROR")
    assert told
    assert rig.redis.keys("rq:job:*") == []


def test_a_worker_without_memory_ends_and_a_fresh_one_scores_what_it_had(rig, redis_client):
    class Exhausted(MeanScorer):
        def score(self, items):
            raise MemoryError

    exhausted = Rig(redis_client, Exhausted(Settings()))
    exhausted.publish(windows(3))
    exhausted.work()
    assert exhausted.results()[1] == 0
    Recovery(redis_client).recover("w1")
    rig.work()
    assert [result.outcome for result in rig.results()[0].values()] == [Outcome.SCORED] * 3
    assert redis_client.get(keys.POISON_COUNT_KEY) is None


def test_a_worker_whose_host_died_is_forgotten_soon(rig):
    """By the time that its heartbeat gives it, not by RQ's of minutes."""
    worker = rig.worker()
    worker.register_birth()
    worker._be_known()
    assert 0 < rig.redis.ttl(worker.key) <= HEARTBEAT_TTL_S
    rig.redis.delete(worker.key)  # as Redis does then
    rig.worker("next").work(burst=True, logging_level="ERROR")
    assert rig.redis.smembers(f"rq:workers:{keys.LIVE_QUEUE}") == rig.redis.smembers("rq:workers") == set()


@pytest.mark.parametrize("place", ["start", "load", "settle", "finish", "finish one"])
def test_a_redis_that_refuses_in_mid_batch_costs_no_window_and_no_try(rig, monkeypatch, place):
    """At whatever point of a batch: what is in hand is kept, and goes on from there."""
    monkeypatch.setattr("workers.fleet.worker.FIRST_PAUSE_S", 0.01)
    rig.publish(windows(3))
    worker, away, jobs_run = rig.worker(), iter([True, True]), []

    def refuse_first(act):
        def acting(*args, **kwargs):
            if next(away, False):
                raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'")
            return act(*args, **kwargs)

        return acting

    if place == "start":
        monkeypatch.setattr(worker, "_start", refuse_first(worker._start))
    elif place == "finish":
        monkeypatch.setattr(worker, "_finish", refuse_first(worker._finish))
    elif place == "finish one":
        monkeypatch.setattr(worker, "cleanup_execution", refuse_first(worker.cleanup_execution))
    elif place == "load":
        monkeypatch.setattr("workers.windows.scoring.load_windows", refuse_first(load_windows))
    else:
        monkeypatch.setattr(rig.batch, "_settle", refuse_first(rig.batch._settle))
    monkeypatch.setattr(worker, "_finalize_failure", lambda *args: jobs_run.append(args))
    worker.work(burst=True, logging_level="ERROR")
    results, count = rig.results()
    assert next(away, None) is None
    assert count == 3
    assert {r.outcome for r in results.values()} == {Outcome.SCORED}
    assert jobs_run == []
    assert rig.redis.keys("rq:job:*") == rig.redis.keys("dfd:pending:*") == []


@pytest.mark.parametrize("kind", [*REFUSALS, "frozen"])
def test_a_worker_outlives_what_befalls_redis_in_mid_batch(kind, monkeypatch):
    """A real server that refuses, or hangs, while a batch is scored; it is the same process that goes on."""
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with server() as valkey, Redis.from_url(valkey.connection_url, socket_timeout=0.5) as client:
        rig, healed, refusals = Rig(client), threading.Event(), [REFUSALS.get(kind, frozen)(valkey)]

        def befall(started):
            if refusals:
                refusal = refusals.pop()
                refusal.__enter__()
                threading.Timer(1.0, lambda: (refusal.__exit__(None, None, None), healed.set())).start()
            return score_jobs(rig.batch, started)

        rig.publish(windows(3))
        rig.worker(run_jobs=befall).work(burst=True, logging_level="ERROR")
        results, count = rig.results()
        assert healed.is_set()
        assert (count, {r.outcome for r in results.values()}) == (3, {Outcome.SCORED})
        assert client.keys("dfd:pending:*") == client.keys("rq:job:*") == []
