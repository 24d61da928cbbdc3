"""What `deploy/` holds: linted by the field's own tools, and its commands run as plain processes on a locked Redis."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from redis.exceptions import AuthenticationError, NoPermissionError

from tests.clips import write_clip
from tests.test_supervisor import wait_for
from tests.topology import COMPOSE, DEPLOY, DOCKERFILE, PASSWORD, TOKEN, Topology

yaml = pytest.importorskip("yaml", reason="needs pyyaml: pip install dfd[dev]")

MANIFESTS = sorted(path for path in (DEPLOY / "kubernetes").rglob("*.yaml") if path.name != "kustomization.yaml")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PARTS = ("ingest", "worker", "monitor", "evidence", "console")


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
    assert {"ingest", "monitor", "evidence", "console", "worker-cpu", "worker-gpu", "trainer"} <= named.keys()
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
    for name in PARTS:
        assert services[name]["read_only"]
        assert services[name]["cap_drop"] == ["ALL"]
    assert services["console"]["ports"] == ["127.0.0.1:8470:8470"]


ROLES = {"ingest": "ingest", "worker": "worker", "bulk": "worker", "monitor": "monitor", "evidence": "evidence"}
ROLES |= {"console": "serve"}  # part -> user of Redis


def test_each_part_has_a_user_of_its_own_and_knows_no_other_password() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    for name in PARTS:
        role = ROLES[name]
        assert services[name]["environment"]["DFD_REDIS_URL"] == (
            f"redis://dfd-{role}:${{DFD_REDIS_PASSWORD_{role.upper()}}}@valkey:6379/0"
        )
        assert set(re.findall(r"DFD_REDIS_PASSWORD_\w+", str(services[name]))) == {f"DFD_REDIS_PASSWORD_{role.upper()}"}
    seen = set()
    for path in (DEPLOY / "kubernetes" / "base").glob("*.yaml"):
        for made in yaml.safe_load_all(path.read_text()):
            for container in made["spec"]["template"]["spec"]["containers"] if made["kind"] == "Deployment" else []:
                role = ROLES[container["name"]]
                env = {each["name"]: each for each in container["env"]}
                asked = {"name": "dfd", "key": f"DFD_REDIS_PASSWORD_{role.upper()}"}
                assert env["PASSWORD"]["valueFrom"] == {"secretKeyRef": asked}
                assert env["DFD_REDIS_URL"]["value"] == f"redis://dfd-{role}:$(PASSWORD)@valkey:6379/0"
                assert "secretRef" not in str(container.get("envFrom", ""))
                seen.add(container["name"])
    assert seen == ROLES.keys()
    assert all("EnvironmentFile=-/etc/dfd/%N.env" in unit.read_text() for unit in UNITS)
    assert {unit.stem for unit in UNITS} == {
        f"dfd-{each}" for each in ("ingest", "work", "monitor", "evidence", "serve")
    }


def test_passwords_are_made_for_all_users() -> None:
    made = dict(line.split("=") for line in run("sh", DEPLOY / "valkey" / "passwords.sh").splitlines())
    users = re.findall(r"^user dfd-(\w+)", (DEPLOY / "valkey" / "users.acl").read_text(), re.MULTILINE)
    assert [name.removeprefix("DFD_REDIS_PASSWORD_").lower() for name in made] == users
    assert all(re.fullmatch(r"[0-9a-f]{32}", password) for password in made.values())
    assert len(set(made.values())) == len(made)
    example = (DEPLOY / "kubernetes" / "base" / "secret.env.example").read_text()
    assert sorted(re.findall(r"^(\w+)=", example, re.MULTILINE)) == sorted(made)


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
    for name in ("ingest", "worker", "monitor", "evidence"):
        values = services[name]["environment"]
        assert (values["DFD_METRICS_HOST"], values["DFD_METRICS_TOKEN_FILE"]) == ("0.0.0.0", "/etc/dfd/metrics.sha256")
        assert services[name]["configs"] == [{"source": "metrics", "target": values["DFD_METRICS_TOKEN_FILE"]}]
    assert "DFD_METRICS_HOST" not in DOCKERFILE.read_text()
    base = DEPLOY / "kubernetes" / "base"
    assert "DFD_METRICS_TOKEN_FILE=/etc/dfd/metrics.sha256" in (base / "kustomization.yaml").read_text()
    assert services["console"]["environment"]["DFD_SERVE_TOKENS"] == services["console"]["configs"][0]["target"]
    for name in ("ingest", "worker", "monitor", "bulk", "console"):
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


@pytest.mark.parametrize("words", re.findall(r"^compile (.*)", (DEPLOY / "lock.sh").read_text(), re.MULTILINE))
def test_locks_pin_all_that_their_extras_ask_for(words: str) -> None:
    asked, _, lock = words.partition(" --output-file ")
    extras = asked.replace("--extra", "").split()
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["project"]
    needs = project["dependencies"] + [need for extra in extras for need in project["optional-dependencies"][extra]]
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (DEPLOY.parent / lock).read_text(), re.MULTILINE))
    assert {re.split(r"[^A-Za-z0-9._-]", need)[0].lower() for need in needs} <= pinned
    assert ("s3" in extras) == (Path(lock).stem in ("serve", "demo"))  # who keeps evidence, and hands it out


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_systemd_units_are_sound(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text().replace("/opt/dfd/bin/dfd", "/bin/true")  # systemd looks whether the program is there
    (tmp_path / unit.name).write_text(text)
    run("systemd-analyze", "verify", "--man=no", tmp_path / unit.name)


def test_redis_lets_nobody_in_and_dfd_only_to_its_own_keys(topology: Topology) -> None:
    with pytest.raises(AuthenticationError):
        topology.redis().get("dfd:model")
    with topology.redis("worker") as redis:
        redis.set("dfd:model", "x")
        for forbidden in (
            lambda: redis.set("others", "x"),
            lambda: redis.xadd("dfd:verdicts", {"a": "b"}),
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
    topology.start("evidence")
    topology.start("console")
    url = f"redis://dfd-bulk:{PASSWORD}bulk@127.0.0.1:{topology.port}/0"
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
        with topology.redis("bulk") as redis:
            wait_for(lambda: redis.hlen("dfd:bulk:reports") == 1)
        wait_for(lambda: topology.asked("/v1/alarms").get("alarms"))
        (alarm, *_) = topology.asked("/v1/alarms")["alarms"]
        wait_for(lambda: topology.asked(f"/v1/alarms/{alarm['id']}/evidence"))
    except AssertionError:
        print(log.read_text())
        raise
    verdicts = topology.folder / "verdicts" / "verdicts.jsonl"
    assert any(json.loads(line)["state"] == "fake" for line in verdicts.read_text().splitlines())
    time.sleep(0.5)
    assert PASSWORD not in log.read_text() + verdicts.read_text()
    assert PASSWORD not in told.stdout + told.stderr
