"""What listeners and uploads cost live streams: 50 clients of /v1/events and 20 uploads at once beside 4 streams.

    python benchmarks/serve.py [--streams 4] [--listeners 50] [--uploads 20] [--seconds 40] [--rounds 2] [--write]
        [--parts nobody listeners uploads all]

`dfd watch --console` reads that many rendered live streams on this machine. By turns nobody asks for anything, or the
listeners come, the uploads arrive all at once, and the bulk worker scores them. For each part: windows scored, other
windows (not scorable or dropped), frames dropped, the latency from capture to verdict, interpolated in the histogram
of /metrics, and how much of a core each took. Those who ask share this machine, though elsewhere they have one of
their own: they are processes of a session of low priority. Takes four minutes; `--write` puts the table into
docs/api.md, from parts with nobody and with all.
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
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import psutil
from live import PORT, Sample, latencies, quantile, samples, total
from pages import machine, put

from dfd_core.environment import environment_of
from dfd_core.process.children import SPAWN
from dfd_core.process.priority import step_aside
from dfd_core.settings import Settings
from ingest.sources.synthetic import Scene, render_synthetic

WHO = ("ingest", "work", "bulk", "serve", "others")  # others: Valkey, monitor, `dfd watch` itself
PARTS = ("nobody", "listeners", "uploads", "all")
Asked = tuple[list[int], list[float], float]
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


def used(watch: psutil.Process) -> dict[str, float]:
    """Seconds of a core that each of `WHO` has used so far, of processes that are there."""
    found = dict.fromkeys(WHO, 0.0)
    for process in (watch, *watch.children(recursive=True)):
        with suppress(psutil.Error):
            family = [" ".join(each.cmdline()) for each in (process, *process.parents())]
            who = next((w for w in WHO if any(f"watch.child {w}" in words for words in family)), "others")
            found["bulk" if process.nice() == 19 else who] += sum(process.cpu_times()[:2])
    return found


def listen(stop: threading.Event) -> int:
    """How many events one client got."""
    count = 0
    with (
        httpx.Client(timeout=60, trust_env=False, verify=False) as client,  # no certificates to be read
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
    httpx.post(f"{URL}/v1/files", files=files, timeout=300, trust_env=False, verify=False).raise_for_status()
    return time.monotonic() - began


def wait_until_warm(streams: int) -> list[Sample]:
    """The samples once every stream has had three windows scored, and the server answers."""
    while True:
        found = samples()
        scored = [v for n, have, v in found if n == "dfd_windows_total" and have["outcome"] == "scored"]
        if sum(value >= 3 for value in scored) == streams:
            return found
        time.sleep(1)


def ask(out: Connection, listeners: int, uploads: int, seconds: float, clip: bytes) -> None:
    """Send the events that each listener got, the seconds that each upload took, and those of a core for all."""
    step_aside(19)
    began, stop = time.monotonic(), threading.Event()
    with ThreadPoolExecutor(listeners + uploads) as pool:
        heard = [pool.submit(listen, stop) for _ in range(listeners)]
        took = list(pool.map(upload, [clip] * uploads))
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        stop.set()
        out.send(([one.result() for one in heard], took, time.process_time()))


def asked(listeners: int, uploads: int, seconds: float, clip: bytes) -> Asked:
    """What `ask` found in a process of its own."""
    if not listeners + uploads:
        time.sleep(seconds)
        return [], [], 0.0
    pipe, theirs = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=ask, args=(theirs, listeners, uploads, seconds, clip))
    process.start()
    theirs.close()
    found: Asked = pipe.recv()
    process.join()
    return found


def measure(args: argparse.Namespace, watch: psutil.Process, clip: bytes) -> str:
    """The table of the parts, by turns."""
    before = wait_until_warm(args.streams)
    lines = [
        "| who asks | windows scored | other windows | frames dropped | latency p50 | p95 | cores: "
        + ", ".join((*WHO, "who asks"))
        + " |",
        "|---" * 7 + "|",
    ]
    got: list[int] = []
    took: list[float] = []
    for part in args.parts * args.rounds:
        cpu, began = used(watch), time.monotonic()
        many = args.listeners * (part in ("listeners", "all")), args.uploads * (part in ("uploads", "all"))
        heard, seconds, theirs = asked(*many, args.seconds, clip)
        got, took = got + heard, took + seconds
        after, span_s = samples(), time.monotonic() - began
        spent = [now - cpu[who] for who, now in used(watch).items()]
        cores = ", ".join(f"{seconds / span_s:.2f}" for seconds in (*spent, theirs))
        lines.append(f"| {part} | {said(before, after)} | {cores} |")
        print(lines[-1], flush=True)
        before = after
    return "\n".join([told(args, got, took), "", *lines])


def told(args: argparse.Namespace, got: list[int], took: list[float]) -> str:
    """What was done, and what those who asked saw."""
    text = (
        f"{args.streams} streams, {args.listeners} listeners and {args.uploads} uploads at once; parts of "
        f"{args.seconds} s in one run ({machine()})."
    )
    text += f" Each listener got {min(got)} to {max(got)} events a part." if got else ""
    return text + (f" An upload took {min(took):.2f} to {max(took):.2f} s." if took else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("streams", 4), ("listeners", 50), ("uploads", 20), ("seconds", 40), ("rounds", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["nobody", "all"], help="by turns, each round")
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
            try:
                table = measure(args, psutil.Process(watch.pid), path.read_bytes())
            finally:
                watch.send_signal(signal.SIGINT)
    print(table)
    if args.write:
        put("docs/api.md", "serve", table)


if __name__ == "__main__":
    main()
