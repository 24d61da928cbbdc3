"""The alert rules: judged by promtool, held against the metrics that exist, and delivered by real processes."""

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ingest.sources.synthetic import Scene, render_synthetic
from tests.fixtures_processes import PATIENCE_S, Processes, verdicts_in
from tests.fixtures_redis import free_port
from tests.served import by_evidence, by_the_monitor

DEPLOY = Path(__file__).parents[1] / "deploy"
PROMETHEUS, ALERTMANAGER = DEPLOY / "prometheus", DEPLOY / "alertmanager" / "alertmanager.yml"
FAKE_FROM_S, FAKE_UNTIL_S, REAL_AGAIN_S = 4.0, 11.0, 40.0  # real for long enough that the alarm ends


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"no {name}: apt-get install prometheus prometheus-alertmanager")
    return path


@pytest.mark.parametrize("name", ["alerts.yml", "drift.yml"])
def test_rules_say_what_they_shall(name: str) -> None:
    done = subprocess.run(
        [tool("promtool"), "test", "rules", PROMETHEUS / "tests" / name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_configurations_are_valid() -> None:
    for command in (
        [tool("promtool"), "check", "config", PROMETHEUS / "prometheus.yml"],
        [tool("amtool"), "check-config", ALERTMANAGER],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_rules_use_metrics_and_labels_that_exist() -> None:
    served = by_the_monitor() | by_evidence()
    text = "".join(path.read_text() for path in sorted((PROMETHEUS / "rules").glob("*.yml")))
    recorded = set(re.findall(r"record: (\S+)", text))
    told = re.sub(r"description: .*", "", text)
    used = set(re.findall(r"\bdfd[_:][a-z0-9_:]+", told))
    assert used - recorded <= set(served), "rules ask for what nobody serves"
    assert {name for name in used if name.startswith("dfd:")} <= recorded
    for name, matchers in re.findall(r"\b(dfd_[a-z0-9_]+)\{([^}]*)\}", text):
        labels = set(re.findall(r"(\w+)=", matchers)) - {"job"}
        assert labels <= served[name], f"{name} has no label {labels - served[name]}"


class Webhook:
    """What Alertmanager delivers, with the time of its arrival."""

    def __init__(self) -> None:
        arrived = self.arrived = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                arrived.extend((time.time(), alert) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def of(self, status: str) -> list[tuple[float, dict]]:  # type: ignore[type-arg]
        return [(t, a) for t, a in self.arrived if a["status"] == status and a["labels"]["severity"] == "critical"]

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    webhook = Webhook()
    yield webhook
    webhook.close()


@pytest.fixture
def alerting(tmp_path: Path, processes: Processes, webhook: Webhook) -> Iterator[None]:
    """Prometheus on the shipped rules, and Alertmanager on the shipped routes; only addresses are this test's own."""
    ports = {"9093": free_port(), "9460": processes.monitor_port, "9095": webhook.server.server_port}
    folder = tmp_path / "deploy"
    shutil.copytree(PROMETHEUS, folder)
    shutil.copy(ALERTMANAGER, folder)
    for path in (folder / "prometheus.yml", folder / "alertmanager.yml"):
        text = path.read_text()
        for shipped, own in ports.items():
            text = text.replace(f"127.0.0.1:{shipped}", f"127.0.0.1:{own}")
        path.write_text(text)
    local = "--web.listen-address=127.0.0.1:"
    commands = [
        [tool("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb"],
        [tool("prometheus-alertmanager"), f"--config.file={folder}/alertmanager.yml"],
    ]
    commands[0] += [f"{local}{free_port()}"]
    commands[1] += [f"{local}{ports['9093']}", f"--storage.path={tmp_path}/alerts", "--cluster.listen-address="]
    with (tmp_path / "alerting.log").open("w") as log:
        running = [subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) for command in commands]
        yield
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)


@pytest.mark.slow
def test_a_fake_reaches_the_webhook_and_resolves(
    alerting: None, processes: Processes, webhook: Webhook, rtsp_server, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    fake, real = tmp_path / "fake.mp4", tmp_path / "real.mp4"
    render_synthetic(fake, Scene(duration=FAKE_UNTIL_S, fake_from=FAKE_FROM_S, size=(480, 270), fps=8))
    render_synthetic(real, Scene(duration=REAL_AGAIN_S, fake_from=REAL_AGAIN_S, size=(480, 270), fps=8))
    verdicts = tmp_path / "verdicts.jsonl"
    processes.start("monitor", "--verdicts", str(verdicts))
    processes.start("work")
    processes.wait_for(lambda: processes.metric("dfd_workers") == 1 and processes.has("dfd_model_info"))
    processes.start("ingest", rtsp_server(fake, real, repeat=1))
    processes.wait_for(lambda: webhook.of("firing"))
    processes.wait_for(lambda: webhook.of("resolved"))
    (arrived_s, alert), (resolved_s, _) = webhook.of("firing")[0], webhook.of("resolved")[0]
    alarm = next(v for v in verdicts_in(verdicts) if v["state"] == "fake")
    assert alert["labels"] == {"alertname": "DfdFakeDetected", "severity": "critical", "stream": alarm["stream"]}
    assert alert["annotations"]["track"] == str(alarm["track"])
    assert 0 < float(alert["annotations"]["probability"]) <= 1
    began_s = alarm["captured_at_s"] - alarm["time_s"]  # when the stream's time was zero
    late_s = arrived_s - began_s - FAKE_FROM_S
    over_s = resolved_s - began_s - FAKE_UNTIL_S
    print(f"alert {late_s:.1f} s after the first fake frame, over {over_s:.1f} s after the last")
    assert late_s > -0.5, "told before it was to be seen"
    assert resolved_s > arrived_s


@pytest.mark.slow
def test_up_prints_the_timeline_of_an_alert() -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    tool("prometheus")
    done = subprocess.run(
        [sys.executable, DEPLOY / "up.py"], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = [done.stdout.index(text) for text in ("door turns fake", "alert delivered: door", "alert resolved")]
    assert told == sorted(told)
