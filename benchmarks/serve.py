"""What listeners and uploads cost live streams: 50 clients of /v1/events and 20 uploads at once beside 4 streams.

    python benchmarks/serve.py [--streams 4] [--listeners 50] [--uploads 20] [--seconds 40]

`dfd watch --console` reads that many rendered live streams on this machine. First nobody asks for anything; then the
listeners come, the uploads arrive all at once, and the bulk worker scores them. For both halves: windows scored, other
windows, frames dropped, and the latency from capture to verdict, interpolated in the histogram of /metrics; then how
many events each listener got, and how long the uploads took.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from live import PORT, Sample, latencies, quantile, samples, total

from dfd_core.environment import environment_of
from dfd_core.settings import Settings
from ingest.sources.synthetic import Scene, render_synthetic

URL = "http://127.0.0.1:18470"
CAMERA = "synthetic://camera{}?live=1&every=20&fake_for=8&size=480x270&fps=8"


def said(before: list[Sample], after: list[Sample]) -> str:
    """What happened between two looks."""

    def since(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    old = latencies(before)
    buckets = {edge: count - old.get(edge, 0.0) for edge, count in latencies(after).items()}
    scored = since("dfd_windows_total", outcome="scored")
    return (
        f"{scored:.0f} windows scored, {since('dfd_windows_total') - scored:.0f} others, "
        f"{since('dfd_frames_dropped_total'):.0f} frames dropped; "
        f"latency p50 {quantile(buckets, 0.5):.2f} s, p95 {quantile(buckets, 0.95):.2f} s"
    )


def listen(stop: threading.Event) -> int:
    """How many events one client got."""
    count = 0
    with (
        httpx.Client(timeout=60, trust_env=False) as client,
        client.stream("GET", f"{URL}/v1/events") as reply,
    ):
        reply.raise_for_status()
        for line in reply.iter_lines():
            count += line.startswith("event: ")
            if stop.is_set():
                break
    return count


def upload(content: bytes) -> float:
    """Seconds that one took; each has another content."""
    began = time.monotonic()
    files = {"file": ("clip.mp4", content + secrets.token_bytes(16))}
    httpx.post(f"{URL}/v1/files", files=files, timeout=300, trust_env=False).raise_for_status()
    return time.monotonic() - began


def wait_until_warm(streams: int) -> list[Sample]:
    """The samples once every stream has had three windows scored, and the server answers."""
    while True:
        found = samples()
        scored = [v for n, have, v in found if n == "dfd_windows_total" and have["outcome"] == "scored"]
        if sum(value >= 3 for value in scored) == streams:
            return found
        time.sleep(1)


def measure(args: argparse.Namespace, clip: bytes) -> None:
    before = wait_until_warm(args.streams)
    time.sleep(args.seconds)
    quiet = samples()
    print(f"nobody asks: {said(before, quiet)}", flush=True)
    stop = threading.Event()
    with ThreadPoolExecutor(args.listeners + args.uploads) as pool:
        listeners = [pool.submit(listen, stop) for _ in range(args.listeners)]
        took = list(pool.map(upload, [clip] * args.uploads))
        time.sleep(args.seconds)
        busy = samples()
        stop.set()
        got = [listener.result() for listener in listeners]
    print(f"{args.listeners} listen, {args.uploads} upload: {said(quiet, busy)}")
    print(f"events a listener: {min(got)} to {max(got)}; uploads took {min(took):.2f} to {max(took):.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("streams", 4), ("listeners", 50), ("uploads", 20), ("seconds", 40)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    values = {"metrics.monitor_port": PORT, "metrics.ingest_port": 0, "metrics.worker_port": 0, "serve.port": 18470}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        render_synthetic(path, Scene(duration=2, fake_from=1, size=(480, 270), fps=8))
        cameras = [CAMERA.format(number) for number in range(args.streams)]
        command = [sys.executable, "-m", "dfd_core.cli", "watch", "--console", *cameras, "--json"]
        environment = {**os.environ, **environment_of(Settings().with_values(values))}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, env=environment, **quiet) as watch:
            try:
                measure(args, path.read_bytes())
            finally:
                watch.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main()
