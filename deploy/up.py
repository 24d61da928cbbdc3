"""From a fake to an alert, on this machine without Docker: `make up`, or python deploy/up.py

Starts `dfd watch` on two rendered cameras, of which one turns fake, with the Prometheus and Alertmanager of the system
on the configurations that lie beside this file; only their ports are free ones. What Alertmanager delivers to a webhook
is printed as a timeline, until the alert is resolved.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any

HERE = Path(__file__).parent
FAKE_FROM_S, FAKE_UNTIL_S, WATCHED_S = 12, 24, 120
CAMERAS = (
    f"synthetic://door?live=1&duration={FAKE_UNTIL_S}&fake_from={FAKE_FROM_S}&size=640x360&fps=16",
    f"synthetic://lobby?live=1&duration={WATCHED_S}&fake_from={WATCHED_S}&size=640x360&fps=16&seed=1",
)
Delivery = tuple[float, dict[str, Any]]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def webhook(port: int) -> Iterator[Queue[Delivery]]:
    """What is delivered to `port`, with its time."""
    delivered: Queue[Delivery] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take an alert."""
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for alert in body["alerts"]:
                delivered.put((time.time(), alert))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield delivered
        server.shutdown()


@contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **environment})
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def program(*names: str) -> str:
    """Path of the first program that is installed."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise SystemExit(f"make up needs {names[0]}: apt-get install prometheus prometheus-alertmanager.")
    return found


def configure(folder: Path, ports: dict[str, int]) -> None:
    """The shipped configurations in `folder`, with other ports."""
    shutil.copytree(HERE / "prometheus", folder, dirs_exist_ok=True)
    shutil.copy(HERE / "alertmanager" / "alertmanager.yml", folder)
    for path in (folder / "prometheus.yml", folder / "alertmanager.yml"):
        text = path.read_text(encoding="utf-8")
        for shipped, own in ports.items():
            text = text.replace(f"127.0.0.1:{shipped}", f"127.0.0.1:{own}")
        path.write_text(text, encoding="utf-8")


def timeline(delivered: Queue[Delivery], verdicts: Path, watch: subprocess.Popen[bytes]) -> bool:
    """Print what arrives until the fake's alert is resolved; whether it was."""
    deadline = time.monotonic() + WATCHED_S
    while time.monotonic() < deadline and watch.poll() is None:
        try:
            at_s, alert = delivered.get(timeout=0.5)
        except Empty:
            continue
        if alert["labels"]["alertname"] != "DfdFakeDetected":
            print(f"          {alert['status']}: {alert['annotations']['summary']}", flush=True)
            continue
        lines = [json.loads(line) for line in verdicts.read_text(encoding="utf-8").splitlines()]
        fake = next(line for line in lines if line["stream"] == "door" and line["state"] == "fake")
        began_s = fake["captured_at_s"] - fake["time_s"]  # when the camera's time was zero
        if alert["status"] == "firing":
            print(f"{FAKE_FROM_S:6.1f} s  door turns fake")
            print(f"{fake['captured_at_s'] - began_s:6.1f} s  the last frame that the verdict needed")
            print(f"{at_s - began_s:6.1f} s  alert delivered: {alert['annotations']['summary']}", flush=True)
        else:
            print(f"{FAKE_UNTIL_S:6.1f} s  door ends\n{at_s - began_s:6.1f} s  alert resolved", flush=True)
            return True
    return False


def main() -> int:
    """Run all of it."""
    prometheus, alertmanager = program("prometheus"), program("alertmanager", "prometheus-alertmanager")
    ports = {name: free_port() for name in ("9460", "9461", "9462", "9090", "9093", "9095")}
    own = {f"DFD_METRICS_{role}_PORT": str(ports[port]) for role, port in
           (("MONITOR", "9460"), ("INGEST", "9461"), ("WORKER", "9462"))}  # fmt: skip
    listen = "--web.listen-address=127.0.0.1:"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        configure(folder, ports)
        delivered = stack.enter_context(webhook(ports["9095"]))
        stored = [f"--storage.path={folder}/alerts", "--cluster.listen-address="]
        command = [alertmanager, f"--config.file={folder}/alertmanager.yml", f"{listen}{ports['9093']}", *stored]
        stack.enter_context(running(command, folder / "alertmanager.log"))
        verdicts = folder / "verdicts.jsonl"
        command = [sys.executable, "-m", "dfd_core.cli", "watch", *CAMERAS, "--json", "--verdicts", str(verdicts)]
        watch = stack.enter_context(running(command, folder / "watch.log", **own))
        command = [prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
        stack.enter_context(running([*command, f"{listen}{ports['9090']}"], folder / "prometheus.log"))
        print(
            f"Prometheus: http://127.0.0.1:{ports['9090']}  Alertmanager: http://127.0.0.1:{ports['9093']}", flush=True
        )
        if timeline(delivered, verdicts, watch):
            return 0
        print("No alert came and was resolved in time.", (folder / "watch.log").read_text()[-2000:], file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
