"""`dfd watch` end to end with real processes: it ends by itself, stops when told, and leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from dfd_core.environment import environment_of
from dfd_core.process.commands import Commands
from dfd_core.settings import Settings
from workers.watch.child import SERVER
from workers.watch.command import CHILD

PATIENCE_S = 300.0  # for busy machines; each wait ends as soon as it can
LIVE = "synthetic://?duration=120&fake_from=60&live=1&size=320x240&fps=8"
CLIP = "synthetic://?duration=6&fake_from=3&size=480x360&fps=16"


def wait_for(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.1)


class Marked:
    """Starts programs whose whole offspring can be found again: by a variable in its environment, or where it works."""

    def __init__(self, folder: Path) -> None:
        self.mark = f"WATCH_TEST_MARK={uuid.uuid4().hex}"
        self.folder, self.out, self.err = folder, folder / "out", folder / "err"

    def start(self, argv: list[str], **settings: object) -> subprocess.Popen[bytes]:
        values = {"metrics.ingest_port": 0, "metrics.worker_port": 0, "metrics.monitor_port": 0}
        values |= {"video.open_timeout_s": PATIENCE_S, "worker.hang_timeout_s": PATIENCE_S} | settings
        name, _, value = self.mark.partition("=")
        own = environment_of(Settings().with_values(values))
        environ = {**os.environ, **own, name: value, "TMPDIR": str(self.folder)}
        with self.out.open("wb") as out, self.err.open("wb") as err:
            return subprocess.Popen(argv, stdout=out, stderr=err, env=environ)

    def alive(self) -> dict[int, str]:
        """Command lines of the offspring, by pid."""
        found = {}
        for folder in Path("/proc").iterdir():
            try:
                if not folder.name.isdigit():
                    continue
                where = str((folder / "cwd").readlink())  # the server overwrites its environment
                if self.mark.encode() in (folder / "environ").read_bytes() or where.startswith(str(self.folder)):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if command:  # not a zombie
                        found[int(folder.name)] = command
            except OSError:
                continue
        return found

    def pids(self, words: str) -> set[int]:
        return {pid for pid, command in self.alive().items() if words in command}

    def signal(self, words: str, number: int) -> None:
        (pid,) = self.pids(words)
        os.kill(pid, number)


@pytest.fixture
def marked(tmp_path: Path) -> Iterator[Marked]:
    if not Path("/proc/self/environ").exists():
        pytest.skip("finds processes through /proc, which this system does not have")
    marked = Marked(tmp_path)
    yield marked
    deadline = time.monotonic() + 15  # after a failure the parent was killed, and the children notice
    while marked.alive() and time.monotonic() < deadline:
        time.sleep(0.2)
    left = marked.alive()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, f"left behind: {left}"


def seconds_to_start() -> float:
    """How long this machine takes just now to start and end the interpreter of `dfd watch`, for nothing."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import workers.watch.command"], check=True)
    return time.monotonic() - started


def watch(*argv: str) -> list[str]:
    return [sys.executable, "-m", "dfd_core.cli", "watch", *argv]


ALARM = {"verdict.enter": 1e-6, "verdict.exit": 1e-7}  # a random network raises it too


@pytest.mark.slow
def test_a_file_and_a_dead_file_are_watched_to_their_end(marked: Marked, tiny_model: Path, tmp_path: Path) -> None:
    verdicts = tmp_path / "verdicts.jsonl"
    argv = watch(CLIP, str(tmp_path / "none.mp4"), "--json", "--verdicts", str(verdicts))
    process = marked.start(argv, **ALARM, **{"model.path": str(tiny_model)})
    try:
        assert process.wait(PATIENCE_S) == 0, marked.err.read_text()
    finally:
        process.kill()
        process.wait()
    printed = [json.loads(line) for line in marked.out.read_text().splitlines()]
    shown = [(line["event"], line["state"], line["text"]) for line in printed if line["stream"] == "synthetic"]
    assert shown == [
        ("verdict", "suspect", "suspect from 00:00"),
        ("verdict", "fake", "fake from 00:00"),
        ("end", "fake", "fake from 00:00"),
    ]
    (failed,) = [line for line in printed if line["stream"] == "none-mp4"]
    assert failed["event"] == "end"
    assert "is not there: " in failed["reason"]
    assert [json.loads(line) for line in verdicts.read_text().splitlines()] == printed
    errors = marked.err.read_text()
    assert "none-mp4: " in errors
    assert "metrics at http://127.0.0.1:" in errors
    assert "Traceback" not in errors


@pytest.mark.slow
def test_ctrl_c_ends_all_within_five_seconds_though_a_child_hangs(marked: Marked, tiny_model: Path) -> None:
    process = marked.start(watch(LIVE), **{"model.path": str(tiny_model)})
    try:
        wait_for(lambda: "metrics at" in marked.out.read_text())
        first = marked.pids("workers.watch.child monitor")
        marked.signal("workers.watch.child monitor", signal.SIGKILL)
        wait_for(lambda: "The monitor was killed (signal 9); it is started again." in marked.out.read_text())
        wait_for(lambda: marked.pids("workers.watch.child monitor") - first)
        marked.signal("workers.watch.child monitor", signal.SIGSTOP)
        idle_s = seconds_to_start()
        asked_at = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        assert time.monotonic() - asked_at < 4.5 + 2 * idle_s
        assert marked.alive() == {}
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in marked.err.read_text() + marked.out.read_text()


@pytest.mark.slow
def test_a_server_that_dies_ends_the_watch(marked: Marked, tiny_model: Path) -> None:
    process = marked.start(watch(LIVE), **{"model.path": str(tiny_model)})
    try:
        wait_for(lambda: "metrics at" in marked.out.read_text())
        marked.signal("valkey-server 127", signal.SIGKILL)
        assert process.wait(PATIENCE_S) == 1
        assert marked.alive() == {}
    finally:
        process.kill()
        process.wait()
    sentence = marked.err.read_text().splitlines()[-1]
    assert sentence.startswith("dfd: The embedded server cannot go on: The embedded Redis server died")


@pytest.mark.slow
def test_duration_ends_a_live_source(marked: Marked, tiny_model: Path) -> None:
    process = marked.start(watch(LIVE, "--duration", "10"), **{"model.path": str(tiny_model)})
    try:
        assert process.wait(PATIENCE_S) == 0, marked.err.read_text()
        assert marked.alive() == {}
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in marked.err.read_text() + marked.out.read_text()


@pytest.mark.slow
def test_when_the_parent_is_killed_nothing_stays(marked: Marked, tiny_model: Path) -> None:
    process = marked.start(watch(LIVE), **{"model.path": str(tiny_model)})
    try:
        wait_for(
            lambda: all(marked.pids(f"workers.watch.child {name}") for name in ("ingest", "work", "monitor", SERVER))
        )
        wait_for(lambda: "metrics at" in marked.out.read_text())
    finally:
        process.kill()
        process.wait()
    wait_for(lambda: not marked.alive(), 30)


def test_sources_that_all_fail_are_a_failure(marked: Marked, tiny_model: Path, tmp_path: Path) -> None:
    process = marked.start(watch(str(tmp_path / "none.mp4")), **{"model.path": str(tiny_model)})
    try:
        assert process.wait(PATIENCE_S) == 1
    finally:
        process.kill()
        process.wait()
    assert "none.mp4" in marked.out.read_text()


def test_a_child_that_dies_for_good_ends_the_watch(marked: Marked, tmp_path: Path) -> None:
    process = marked.start(watch(LIVE), **{"model.path": str(tmp_path)})
    try:
        assert process.wait(PATIENCE_S) == 1
    finally:
        process.kill()
        process.wait()
    sentence = marked.err.read_text().splitlines()[-1]
    assert sentence.startswith("dfd: The ")
    assert "cannot go on: No model in" in sentence
    assert "Traceback" not in marked.err.read_text()


def test_redis_down_at_start(marked: Marked) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://:hunter2@127.0.0.1:{unused.getsockname()[1]}/0"
        process = marked.start(watch(LIVE, "--redis", url))
        assert process.wait(PATIENCE_S) == 1
    error = marked.err.read_text()
    assert error.startswith("dfd: Redis at redis://127.0.0.1:")
    assert "hunter2" not in error
    assert error.count("\n") == 1


def test_the_duration_must_be_positive(marked: Marked) -> None:
    process = marked.start(watch(LIVE, "--duration", "0"))
    assert process.wait(PATIENCE_S) == 2
    assert marked.err.read_text() == "dfd: --duration must be above 0 seconds.\n"


# The commands


def test_commands_stop_and_leave_nothing(marked: Marked, tmp_path: Path) -> None:
    name, _, value = marked.mark.partition("=")
    commands = Commands(CHILD, {**os.environ, name: value})
    server = commands.start("server", SERVER, str(tmp_path / "redis"))
    line = commands.lines.get(timeout=PATIENCE_S)
    assert not line.error
    with Redis.from_url(line.text) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    os.kill(server.process.pid, signal.SIGSTOP)  # it hangs, and its own child, the server, goes on
    started = time.monotonic()
    commands.stop(1.0)
    assert time.monotonic() - started < 5
    wait_for(lambda: not marked.alive(), 10)


def test_a_child_notices_that_its_parent_is_gone(marked: Marked, tmp_path: Path) -> None:
    process = marked.start([sys.executable, "-m", "tests.programs.parent_of_a_server", str(tmp_path / "redis")])
    wait_for(lambda: "redis://" in marked.out.read_text())
    process.kill()
    process.wait()
    wait_for(lambda: not marked.alive(), 30)


# What is shown
