"""The running system: Redis, a camera, and the commands of `dfd`, which are started again as systemd does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dfd_core.environment import environment_of
from dfd_core.media import stream_names
from dfd_core.settings import Settings
from tests.chaos.cameras import REPEAT, Camera
from tests.chaos.films import clip
from tests.chaos.metrics import Watch, wait_until
from tests.chaos.redis_server import PASSWORD, RedisServer
from tests.chaos.spawned import spawn
from tests.chaos.stepped import Clock
from tests.fixtures_redis import free_port

LOGIN = "viewer:hidden-from-logs"
PATIENCE_S = 400.0  # ends as soon as all is well
RESTART_S = 2.0  # as RestartSec= in deploy/systemd
HANG_S = 20.0  # more than a batch takes on a busy machine
LOST = ("dropped", "expired", "failed", "missing")
VALUES = {"worker.hang_timeout_s": HANG_S, "worker.bulk_processes": 0, "verdict.enter": 0.02, "verdict.exit": 0.01}


def tree(pid: int) -> Sequence[int]:
    """A process and all that it started."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return [pid, *(one for child in found for one in tree(child))]


class System:
    """Cameras whose face counts as fake all the time, through everything to /metrics and to the file `verdicts`.

    `camera` is the one that faults are put into, and `stream` its name.
    """

    def __init__(
        self, folder: Path, cameras: int = 1, *, repeat: int = REPEAT, clocked: bool = False, **values: object
    ) -> None:
        """`values` are settings of every command, as for `run`; `clocked`: its `clock` can be stepped."""
        self.folder, self.monitor_port = folder, free_port()
        folder.mkdir(exist_ok=True)
        self.logs = folder
        self._values = values
        self.clock = Clock(folder / "clock") if clocked else None
        self.redis = RedisServer(folder / "redis", self._clock_environment())
        self.film = clip(folder / "camera.mp4")
        self._cameras = [Camera(self.film, LOGIN, repeat) for _ in range(cameras)]
        self.streams = stream_names(camera.url for camera in self._cameras)
        self.choose(0)
        self.verdicts = folder / "verdicts" / "verdicts.jsonl"
        self.verdicts.parent.mkdir()
        self.deaths: list[str] = []  # roles whose process ended by itself
        self._lock = threading.Lock()
        self._commands: dict[str, tuple[list[str], dict[str, str]]] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self.watch = Watch(self.monitor_port)

    def start(self) -> None:
        """Until windows of the camera are scored."""
        self.redis.start()
        for camera in self._cameras:
            camera.start()
        self.run_monitor()
        self.run("work", "work")
        self.run_ingest()
        self._keeper.start()
        self.settle()

    def choose(self, number: int) -> None:
        """Which camera faults are put into from now on."""
        self.camera = self._cameras[number]
        self.stream = self.streams[number]

    def run_monitor(self) -> None:
        """The one that is watched."""
        self.run("monitor", "monitor", "--verdicts", str(self.verdicts), metrics__monitor_port=self.monitor_port)

    def run_ingest(self) -> None:
        """Of all cameras."""
        self.run("ingest", "ingest", *(camera.url for camera in self._cameras))

    def run(self, role: str, *words: str, module: str = "dfd_core.cli", **values: object) -> None:
        """Start a command under a name of its own, and again whenever it ends, until it is stopped.

        `values` are settings, as `metrics__monitor_port=9460`.
        """
        command = [sys.executable, "-m", module, *words]
        with self._lock:
            self._commands[role] = command, self.environment(**values)
            self._spawn(role)

    def environment(self, **values: object) -> dict[str, str]:
        """Of a command of this system; `values` as for `run`."""
        own = {name.replace("__", "."): value for name, value in {**self._values, **values}.items()}
        ports = {f"metrics.{kind}_port": -1 for kind in ("ingest", "worker", "monitor")}
        settings = Settings().with_values({"redis.url": self.redis.url, **VALUES, **ports, **own})
        return {**os.environ, **environment_of(settings), **self._clock_environment()}

    def pid(self, role: str) -> int:
        return self._running[role].pid

    def pids(self) -> dict[str, int]:
        """Of every role that runs, and of Redis."""
        with self._lock:
            return {role: process.pid for role, process in self._running.items()} | {"redis": self.redis.pid}

    def kill(self, role: str) -> None:
        """By kill -9, for good until it is `run` again."""
        self._end(role, signal.SIGKILL)

    def stop(self, role: str) -> None:
        self._end(role, signal.SIGTERM)

    def live(self) -> bool:
        return self.watch.value("dfd_stream_up", stream=self.stream) == 1

    def watched(self, stream: str) -> bool:
        """Whether windows of it were told of."""
        return self.watch.grown("dfd_windows_total", stream=stream) > 0

    def scored(self) -> float:
        """Windows of the camera that were scored so far."""
        return self.watch.grown("dfd_windows_total", stream=self.stream, outcome="scored")

    def lost(self) -> float:
        """Windows of the camera that nobody scored, for another reason than what is in them."""
        grown = (self.watch.grown("dfd_windows_total", stream=self.stream, outcome=outcome) for outcome in LOST)
        return sum(grown) + self.watch.grown("dfd_abstentions_total", stream=self.stream, reason="stale")

    def settle(self) -> None:
        """Wait until all is well; RuntimeError, with what was printed, where it does not become so."""
        if not self.settles():
            raise RuntimeError(f"The system did not come to work:\n{self.printed()}")

    def settles(self) -> bool:
        """Whether all becomes well in time."""
        before = self.scored()
        return wait_until(lambda: self.live() and self.scored() >= before + 3, PATIENCE_S) is not None

    def written(self) -> list[dict[str, object]]:
        """The lines of the file of verdicts that are whole."""
        lines = self.verdicts.read_text().splitlines() if self.verdicts.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def printed(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text()}" for path in sorted(self.folder.glob("*.log")))

    def alarms(self) -> int:
        """How many alarms of its cameras were told."""
        told = (line for line in self.written() if line["event"] == "verdict" and line["state"] == "fake")
        return sum(line["stream"] in self.streams for line in told)

    def told_secrets(self) -> bool:
        """Whether a password stands in what was printed or written."""
        text = self.printed() + str(self.written())
        return PASSWORD in text or LOGIN.partition(":")[2] in text

    def close(self) -> None:
        for role in ("ingest", "work", *self._running):
            if role in self._running:
                self.stop(role)
        self._stop.set()  # only now: what the keeper started ends with it
        if self._keeper.ident is not None:
            self._keeper.join()
        self.watch.close()
        for camera in self._cameras:
            camera.stop()
        self.redis.close()

    def _spawn(self, role: str) -> None:
        command, environment = self._commands[role]
        with (self.logs / f"{role}.log").open("ab") as log:
            self._running[role] = spawn(command, stdout=log, stderr=log, env=environment)

    def _clock_environment(self) -> dict[str, str]:
        return {} if self.clock is None else self.clock.environment

    def _end(self, role: str, number: int) -> None:
        with self._lock:
            self._commands.pop(role, None)
            process = self._running.pop(role)
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _keep(self) -> None:
        while not self._stop.wait(RESTART_S):
            with self._lock:
                for role in [role for role in self._commands if self._running[role].poll() is not None]:
                    self.deaths.append(role)
                    self._spawn(role)


def children(system: System, role: str) -> list[int]:
    """Of a command: the processes in which it does its work."""
    found = []
    for child in tree(system.pid(role))[1:]:
        with suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found
