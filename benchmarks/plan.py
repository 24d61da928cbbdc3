"""How many shards, cores and bytes some thousands of live streams need, by what benchmarks/capacity.py measured.

    python -m benchmarks.plan build/capacity.json [--streams 10000] [--cores 32] [--load 0.7] [--write]

A shard is one Valkey, one monitor, its ingest and its workers, on one machine of `--cores`; no part is planned to be
busy for more than `--load` of the time. Shards share nothing, so one is simulated as discrete events (simpy), with the
measured service times: as planned, with a quarter of its workers lost for half a minute, and with half as many streams
again as planned. `--write` puts the text into docs/capacity.md, between markers. The file is that of
`benchmarks/capacity.py --json`; of it, `service`, `limits` and `steps` are read.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import simpy

from benchmarks.pages import put
from dfd_core.settings import Settings

SECONDS, LOST_AT_S, LOST_FOR_S = 120.0, 30.0, 30.0
SPREAD = 10.0  # shape of the gamma distribution of service times: a deviation of .32 of the mean
LINK_BYTES_S = 10e9 / 8


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured: core-seconds a second of a stream, or a window; windows a second; bytes."""

    ingest: float
    work: float
    monitor: float
    redis: float
    windows_s: float
    segment_bytes: float
    memory_bytes: float

    @classmethod
    def of(cls, found: dict[str, Any]) -> Costs:
        """From the file of benchmarks/capacity.py."""
        service, steps = found["service"], [step for step in found["steps"] if step["ok"]] or found["steps"]
        return cls(
            ingest=service["ingest_core_s_a_stream_s"],
            work=service["work_core_s_a_window"],
            monitor=service["monitor_core_s_a_window"],
            redis=service["redis_core_s_a_window"],
            windows_s=service["windows_a_stream_s"],
            segment_bytes=found["limits"]["segment_bytes"],
            memory_bytes=steps[-1]["memory_a_stream"],
        )

    @property
    def cores_a_stream(self) -> float:
        """All parts together."""
        return self.ingest + self.windows_s * (self.work + self.monitor + self.redis)


@dataclass(frozen=True, slots=True)
class Shard:
    """One machine: its streams, and how many processes of one thread score."""

    streams: int
    workers: int


def bounds(costs: Costs, cores: int, load: float) -> dict[str, int]:
    """How many streams each part of a shard bears; Valkey and the monitor have one thread."""
    a_second = costs.windows_s
    return {
        "the machine's cores": int(cores * load / costs.cores_a_stream),
        "Valkey's thread": int(load / max(1e-9, a_second * costs.redis)),
        "the monitor's thread": int(load / max(1e-9, a_second * costs.monitor)),
        "a 10 Gbit/s link, if workers stand elsewhere": int(LINK_BYTES_S * load / (a_second * costs.segment_bytes)),
    }


def shard_of(costs: Costs, cores: int, load: float) -> Shard:
    """The largest that all but the link bear: on one machine, pixels cross no link."""
    borne = bounds(costs, cores, load)
    streams = max(1, min(count for part, count in borne.items() if "link" not in part))
    return Shard(streams, max(1, math.ceil(streams * costs.windows_s * costs.work / load)))


@dataclass(slots=True)
class Outcome:
    """What became of a shard's windows: `ages_s` of those that were scored, from their newest frame to the verdict."""

    windows: int = 0
    dropped: int = 0
    stale: int = 0
    ages_s: list[float] = field(default_factory=list)

    def age_s(self, share: float) -> float:
        """Quantile of the ages; NaN where none was scored."""
        return float(np.quantile(self.ages_s, share)) if self.ages_s else math.nan


class Simulation:
    """One shard; `lost` of its workers do nothing from LOST_AT_S for LOST_FOR_S."""

    def __init__(self, costs: Costs, shard: Shard, lost: int = 0, seed: int = 1) -> None:
        self._costs, self._shard, self._lost = costs, shard, lost
        self._random, self._settings = np.random.default_rng(seed), Settings()
        self._env = simpy.Environment()
        self._redis, self._monitor = simpy.Resource(self._env), simpy.Resource(self._env)
        self._waiting: deque[tuple[int, float]] = deque()  # stream, capture time; oldest first
        self._counts = [0] * shard.streams  # that wait, a stream
        self._bell = self._env.event()
        self._most = max(1, int(self._settings.queue.live_bytes / costs.segment_bytes))
        self.outcome = Outcome()

    def run(self, seconds: float = SECONDS) -> Outcome:
        """Let it run for so long."""
        for stream in range(self._shard.streams):
            self._env.process(self._stream(stream))
        for worker in range(self._shard.workers):
            self._env.process(self._worker(worker < self._lost))
        self._env.run(until=seconds)
        return self.outcome

    def _took(self, mean_s: float) -> float:
        return float(self._random.gamma(SPREAD, mean_s / SPREAD)) if mean_s > 0 else 0.0

    def _on(self, part: simpy.Resource, mean_s: float) -> Iterator[simpy.Event]:
        with part.request() as turn:
            yield turn
            yield self._env.timeout(self._took(mean_s))

    def _stream(self, stream: int) -> Iterator[simpy.Event]:
        """A window each period, from a random phase on; a full queue drops its oldest."""
        period_s = 1 / self._costs.windows_s
        yield self._env.timeout(self._random.uniform(0, period_s))
        while True:
            self._env.process(self._publish(stream, self._env.now))
            yield self._env.timeout(period_s)

    def _publish(self, stream: int, captured_s: float) -> Iterator[simpy.Event]:
        self.outcome.windows += 1
        yield from self._on(self._redis, self._costs.redis / 2)
        if self._counts[stream] >= self._most:
            self._waiting.remove(next(window for window in self._waiting if window[0] == stream))
            self._counts[stream] -= 1
            self.outcome.dropped += 1
        self._waiting.append((stream, captured_s))
        self._counts[stream] += 1
        if not self._bell.triggered:
            self._bell.succeed()

    def _worker(self, is_lost: bool) -> Iterator[simpy.Event]:
        """Batches of what waits, oldest first; what is stale is told and not measured."""
        worker = self._settings.worker
        while True:
            if is_lost and LOST_AT_S <= self._env.now < LOST_AT_S + LOST_FOR_S:
                yield self._env.timeout(LOST_AT_S + LOST_FOR_S - self._env.now)
            while not self._waiting:
                self._bell = self._env.event() if self._bell.triggered else self._bell
                yield self._bell
            if len(self._waiting) < worker.batch_windows:
                yield self._env.timeout(worker.batch_wait_s)
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), worker.batch_windows))]
            for stream, _ in batch:
                self._counts[stream] -= 1
            now_s, stale_s = self._env.now, self._settings.queue.stale_s
            fresh = [captured_s for _, captured_s in batch if now_s - captured_s <= stale_s]
            self.outcome.stale += len(batch) - len(fresh)
            yield self._env.timeout(sum(self._took(self._costs.work) for _ in fresh))
            yield from self._on(self._redis, self._costs.redis / 2 * len(batch))
            self._env.process(self._tell(fresh))

    def _tell(self, captured: list[float]) -> Iterator[simpy.Event]:
        for captured_s in captured:
            yield from self._on(self._monitor, self._costs.monitor)
            self.outcome.ages_s.append(self._env.now - captured_s)


def scenarios(costs: Costs, shard: Shard) -> dict[str, Outcome]:
    """The three that the page shows."""
    quarter = math.ceil(shard.workers / 4)
    more = replace(shard, streams=math.ceil(shard.streams * 1.5))
    return {
        "as planned": Simulation(costs, shard).run(),
        f"{quarter} of {shard.workers} workers lost for {LOST_FOR_S:.0f} s": Simulation(costs, shard, quarter).run(),
        f"{more.streams} streams, half as many again": Simulation(costs, more).run(),
    }


def text(found: dict[str, Any], streams: int, cores: int, load: float) -> str:
    """The plan as Markdown."""
    costs = Costs.of(found)
    shard, borne = shard_of(costs, cores, load), bounds(costs, cores, load)
    shards, used = math.ceil(streams / shard.streams), costs.cores_a_stream
    redis_bytes = costs.windows_s * costs.segment_bytes * shard.streams
    lines = [
        f"A stream with {found['faces']} face(s) costs {used:.3f} of a core: ingest {costs.ingest:.3f}, scoring "
        f"{costs.windows_s * costs.work:.3f}, Valkey {costs.windows_s * costs.redis:.4f}, monitor "
        f"{costs.windows_s * costs.monitor:.4f}; and {costs.memory_bytes / 1e6:.0f} MB of memory. No part is planned "
        f"to be busy for more than {load:.0%} of the time. One shard, on a machine of {cores} cores:",
        "",
        "| what bounds it | streams a shard |",
        "|---|---|",
        *[f"| {part} | {count} |" for part, count in borne.items()],
        "",
        f"So **{streams} streams: {shards} shards of {shard.streams}**, each with {shard.workers} workers of a thread, "
        f"one Valkey and one monitor: {shards * cores} cores in all, {shards * cores / streams:.3f} a stream, and "
        f"{costs.memory_bytes * shard.streams / 1e9:.0f} GB of memory a shard. {redis_bytes / 1e6:.0f} MB of pixels a "
        "second go into a shard's Valkey, and out again, over loopback. A GPU was not at hand: nothing here uses one.",
        "",
        f"One shard simulated for {SECONDS:.0f} s (shards share nothing), with these service times, gamma distributed:",
        "",
        "| a shard | windows | age p50, s | age p95, s | age most, s | dropped | stale |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, out in scenarios(costs, shard).items():
        ages = " | ".join(f"{out.age_s(share):.2f}" for share in (0.5, 0.95, 1.0))
        lines.append(f"| {name} | {out.windows} | {ages} | {out.dropped} | {out.stale} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capacity", type=Path)
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--cores", type=int, default=32, help="of one machine")
    parser.add_argument("--load", type=float, default=0.7)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    told = text(json.loads(args.capacity.read_text(encoding="utf-8")), args.streams, args.cores, args.load)
    print(told)
    if args.write:
        put("docs/capacity.md", "plan", told)


if __name__ == "__main__":
    main()
