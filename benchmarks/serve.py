"""What listeners and uploads cost live streams: 50 clients of /v1/events and 20 uploads at once beside 4 streams.

    python benchmarks/serve.py [--streams 4] [--listeners 50] [--uploads 20] [--seconds 40] [--rounds 2] [--write]

`dfd watch --console` reads that many rendered live streams on this machine. By turns nobody asks for anything, or the
listeners come, the uploads arrive all at once, and the bulk worker scores them. For each part: windows scored, other
windows (not scorable or dropped), frames dropped, and the latency from capture to verdict, interpolated in the
histogram of /metrics. Takes four minutes; `--write` puts the table into docs/api.md.
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
        f"{scored:.0f} | {since('dfd_windows_total') - scored:.0f} | {since('dfd_frames_dropped_total'):.0f} | "
        f"{quantile(buckets, 0.5):.2f} s | {quantile(buckets, 0.95):.2f} s"
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


def busy(args: argparse.Namespace, clip: bytes) -> tuple[list[int], list[float]]:
    """Events that each listener got, and seconds that each upload took, in a part of the run in which all ask."""
    began, stop = time.monotonic(), threading.Event()
    with ThreadPoolExecutor(args.listeners + args.uploads) as pool:
        listeners = [pool.submit(listen, stop) for _ in range(args.listeners)]
        took = list(pool.map(upload, [clip] * args.uploads))
        time.sleep(max(0.0, began + args.seconds - time.monotonic()))
        stop.set()
        return [listener.result() for listener in listeners], took


def measure(args: argparse.Namespace, clip: bytes) -> str:
    """The table of parts with and without requests, by turns."""
    before = wait_until_warm(args.streams)
    lines = [
        "| part | windows scored | other windows | frames dropped | latency p50 | p95 |",
        "|---|---|---|---|---|---|",
    ]
    got: list[int] = []
    took: list[float] = []
    for _ in range(args.rounds):
        for asked in (False, True):
            if asked:
                events, seconds = busy(args, clip)
                got, took = got + events, took + seconds
            else:
                time.sleep(args.seconds)
            after = samples()
            lines.append(f"| {'all ask' if asked else 'nobody asks'} | {said(before, after)} |")
            print(lines[-1], flush=True)
            before = after
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}"
    told = (
        f"{args.streams} streams, {args.listeners} listeners and {args.uploads} uploads at once; parts of "
        f"{args.seconds} s in one run ({machine}). Each listener got {min(got)} to {max(got)} events a part, "
        f"an upload took {min(took):.2f} to {max(took):.2f} s."
    )
    return "\n".join([told, "", *lines])


def write(table: str) -> None:
    """Into docs/api.md, between its markers."""
    page = Path(__file__).parents[1] / "docs" / "api.md"
    before, begin, rest = page.read_text().partition("<!-- benchmarks/serve.py -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not (begin and end):
        raise SystemExit(f"{page} has no markers <!-- benchmarks/serve.py --> and <!-- end -->.")
    page.write_text(f"{before}{begin}{table}\n{end}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("streams", 4), ("listeners", 50), ("uploads", 20), ("seconds", 40), ("rounds", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/api.md")
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
            os.nice(10)  # who asks has a machine of their own elsewhere; here they share it
            try:
                table = measure(args, path.read_bytes())
            finally:
                watch.send_signal(signal.SIGINT)
    print(table)
    if args.write:
        write(table)


if __name__ == "__main__":
    main()
