"""The plan for many streams: its arithmetic, and the simulation beside what queueing theory says."""

import math

import pytest

pytest.importorskip("simpy", reason="needs simpy: pip install dfd[dev]")

from benchmarks.plan import Costs, Shard, Simulation, bounds, shard_of, text

COSTS = Costs(ingest=0.05, work=0.05, monitor=0.001, redis=0.002, windows_s=1.0, segment_bytes=1e6, memory_bytes=60e6)
FOUND = {
    "faces": 1,
    "service": {
        "ingest_core_s_a_stream_s": 0.05,
        "work_core_s_a_window": 0.05,
        "monitor_core_s_a_window": 0.001,
        "redis_core_s_a_window": 0.002,
        "windows_a_stream_s": 1.0,
    },
    "limits": {"segment_bytes": 1e6},
    "steps": [{"ok": True, "memory_a_stream": 60e6}, {"ok": False, "memory_a_stream": 99e6}],
}


def test_the_file_is_read_up_to_the_last_step_that_was_good() -> None:
    assert Costs.of(FOUND) == COSTS


def test_the_weakest_part_bounds_a_shard_and_the_link_does_not() -> None:
    assert bounds(COSTS, 32, 0.5) == {
        "the machine's cores": int(16 / 0.103),
        "Valkey's thread": 250,
        "the monitor's thread": 500,
        "a 10 Gbit/s link, if workers stand elsewhere": 625,
    }
    assert shard_of(COSTS, 32, 0.5) == Shard(155, math.ceil(155 * 0.05 / 0.5))
    assert shard_of(COSTS, 1000, 0.5).streams == 250


@pytest.mark.parametrize("streams", [1, 20, 60])
def test_a_shard_with_room_scores_every_window_soon(streams: int) -> None:
    """Nothing is younger than its service, and at 60 % of the workers' time nothing is late."""
    found = Simulation(COSTS, Shard(streams, max(1, math.ceil(streams * COSTS.work / 0.6)))).run(60)
    assert found.windows in range(streams * 59, streams * 60 + 1)
    assert (found.dropped, found.stale) == (0, 0)
    assert len(found.ages_s) >= found.windows - 2 * streams  # the last ones are still in hand
    assert COSTS.work / 3 < found.age_s(0.5)
    assert found.age_s(0.95) < 1


def test_overload_is_lost_and_as_much_as_arithmetic_says() -> None:
    """One worker of twenty windows a second, forty streams: half is lost, and nothing that is scored is stale."""
    found = Simulation(COSTS, Shard(40, 1)).run(200)
    assert len(found.ages_s) / 200 == pytest.approx(20, rel=0.15)
    assert found.dropped + found.stale > 0.4 * found.windows * (1 - 20 / 200)
    assert found.windows >= len(found.ages_s) + found.dropped + found.stale


def test_workers_that_are_lost_make_windows_late_and_only_then() -> None:
    lost, kept = Simulation(COSTS, Shard(60, 4), 2).run(), Simulation(COSTS, Shard(60, 4)).run()
    assert lost.age_s(0.95) > 2 * kept.age_s(0.95)
    assert kept.dropped == kept.stale == 0


def test_the_page_has_each_bound_and_the_plan() -> None:
    told = text(FOUND, 10_000, 4, 0.7)
    shard = shard_of(COSTS, 4, 0.7)
    assert f"{math.ceil(10_000 / shard.streams)} shards of {shard.streams}" in told
    assert all(f"| {part} | {count} |" in told for part, count in bounds(COSTS, 4, 0.7).items())
