"""What scoring calm streams less often saves, and what it misses: live streams side by side, and spliced schedules.

    python benchmarks/adaptive.py [--gaps 2 4 8] [--fakes 30] [--streams 4] [--seconds 30] [--rounds 2] [--write]

**Misses**: synthetic:// scenes (three cameras before the one portrait, 640x360, 8 fps) are rendered once authentic and
once fake, cut into faces and measured by the shipped model as ingest and workers do it. Of these frames, schedules are
spliced: at least `--apart` seconds of calm, a fake of 1, 2, 4 or 8 s that begins at any frame, and again, `--fakes` of
them a camera and length. The rule (`dfd_core/judging/calm.py`) and the alarm's state machine go through each schedule
with every `gap_s`, with `adaptive.calm_s` as it is by default, in media time: no hour is waited for. A verdict is known
before the next second is over, as is so on a machine that is not overloaded. A delay runs from the fake's first frame
to the end of the window that raises the alarm; the time to score that window comes on top, equally for all. Alarms that
come up to ten seconds after a fake's end still count for it. Splicing keeps each frame's measures as they are; those
of a whole segment (what moves and stays) are, in the second in which a fake begins or ends, of an unmixed one.

**Saves**: authentic 720p25 RTSP streams, the parts of dfd in processes of their own as in capacity.py, at full rate and
with the last of `--gaps` but one, by turns, `--rounds` of each: CPU by part. There `calm_s` is 3, not to wait for it.

`--write` puts both tables into docs/capacity.md, and a line into README.md; `--no-live` or `--no-loss` leaves one out.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import mean

import numpy as np
from live import samples
from pages import put
from parts import FPS, SIZE, Json, System, measured
from spliced import GRACE_S, delays, faces_of, go_through, judge_of, pieces_of, schedule

from dfd_core.judging.scoring import load_scorer
from dfd_core.settings import Settings
from ingest.sources.synthetic import Scene, render_synthetic

LENGTHS_S = (1.0, 2.0, 4.0, 8.0)
CAMERAS = 3
CALM_S = 3.0  # of live streams


def loss(args: argparse.Namespace) -> Json:
    """Of each length and gap: how many fakes were missed, how late the alarms came."""
    settings = Settings()
    scorer = load_scorer(settings)
    rng = np.random.default_rng(0)
    cameras = []
    for camera in range(CAMERAS):
        real, fake = (faces_of(camera, args.rendered, is_fake, settings, scorer) for is_fake in (False, True))
        cameras.append(judge_of(real, fake, scorer))
        print(f"camera {camera} is rendered and measured", flush=True)
    found: Json = {"gaps": [0.0, *args.gaps], "fakes": args.fakes * CAMERAS, "lengths": {}, "scored": {}, "false": {}}
    hours = 0.0
    for length_s in LENGTHS_S:
        late: dict[float, list[float]] = {gap_s: [] for gap_s in found["gaps"]}
        for judge in cameras:
            fakes = schedule(args.fakes, length_s, args.apart, rng)
            pieces = pieces_of(fakes, math.ceil(fakes[-1][1] + GRACE_S), args.rendered)
            hours += len(pieces) / 3600
            for gap_s in found["gaps"]:
                run = go_through(pieces, judge, settings.with_values({"adaptive.gap_s": gap_s}), scorer)
                first, false = delays(fakes, run.alarms)
                late[gap_s] += first
                found["scored"][gap_s] = found["scored"].get(gap_s, 0) + run.scored
                found["false"][gap_s] = found["false"].get(gap_s, 0) + false
        found["lengths"][length_s] = late
    found["hours"] = hours
    return found


def loss_table(found: Json) -> str:
    """The losses as Markdown."""
    share = {gap_s: found["scored"][gap_s] / found["scored"][0.0] for gap_s in found["gaps"]}
    lines = [
        f"{found['fakes']} fakes of each length, {found['hours']:.1f} hours of media time, spliced of synthetic:// "
        "scenes. In brackets the alarm's delay after the fake's first frame: median, p95, most; s.",
        "",
        "| found, of fakes of | " + " | ".join(_gap(gap_s) for gap_s in found["gaps"]) + " |",
        "|---" * (1 + len(found["gaps"])) + "|",
    ]
    for length_s, late in found["lengths"].items():
        lines.append(f"| {length_s:.0f} s | " + " | ".join(_told(late[gap_s]) for gap_s in found["gaps"]) + " |")
    false = (f"{found['false'][gap_s]}" for gap_s in found["gaps"])
    lines.append("| share of windows scored | " + " | ".join(f"{share[gap_s]:.2f}" for gap_s in found["gaps"]) + " |")
    lines.append("| alarms without a fake | " + " | ".join(false) + " |")
    return "\n".join(lines)


def _gap(gap_s: float) -> str:
    return f"gap_s = {gap_s:.0f}" if gap_s else "every window"


def _told(late: Sequence[float]) -> str:
    known = sorted(value for value in late if math.isfinite(value))
    share = f"{len(known) / len(late):.2f}"
    return f"{share} ({np.median(known):.1f}, {np.percentile(known, 95):.1f}, {known[-1]:.1f})" if known else share


def live(args: argparse.Namespace) -> Json:
    """CPU of some calm streams, at full rate and adapted, by turns."""
    gap_s = sorted(args.gaps)[max(0, len(args.gaps) - 2)]
    arms: dict[str, list[Json]] = {"every window": [], _gap(gap_s): []}
    most_s = args.seconds + 90.0
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "calm.mp4"  # as long as is looked at: one that is played again counts as looped
        render_synthetic(clip, Scene(duration=most_s, fake_from=most_s, size=SIZE, fps=FPS))
        for arm in list(arms) * args.rounds:
            values = {"adaptive.gap_s": 0.0 if arm == "every window" else gap_s, "adaptive.calm_s": max(CALM_S, gap_s)}
            with ExitStack() as stack:
                system = System(stack, clip, most_s, values)
                system.add(args.streams)
                if values["adaptive.gap_s"]:
                    wait_for_calm(args.streams)
                step = measured(system, args.seconds)
            arms[arm].append(step)
            print(f"{arm}: {step['windows_a_stream_s']:.2f} windows a stream and second, {_cpu(step):.3f}", flush=True)
    return {"arms": arms, "streams": args.streams, "gap_s": gap_s}


def wait_for_calm(streams: int) -> None:
    """Until all are scored less often."""
    end_at = time.monotonic() + 60
    while sum(value for name, _, value in samples() if name == "dfd_stream_calm") < streams:
        if time.monotonic() > end_at:
            raise SystemExit("Not every stream became calm within a minute: this machine is too busy for them.")
        time.sleep(0.5)


def _cpu(step: Json) -> float:
    return sum(used for part, used in step["cpu"].items() if part != "rtsp_server") / step["streams"]


def live_table(found: Json, load: float) -> str:
    """The costs as Markdown."""
    turns = next(iter(found["arms"].values()))
    parts = [part for part in turns[0]["cpu"] if part != "rtsp_server"]
    lines = [
        f"{found['streams']} live 720p25 streams of one face, load before {load:.1f}; thousandths of a core a "
        f"stream, mean of {len(turns)} turns.",
        "",
        "| scored | windows a second | " + " | ".join(parts) + " | all | p95, s | lost |",
        "|---" * (5 + len(parts)) + "|",
    ]
    for arm, steps in found["arms"].items():
        used = [mean(step["cpu"][part] for step in steps) / found["streams"] * 1e3 for part in parts]
        lost = sum(step["lost_windows"] + step["lost_frames"] for step in steps)
        values = [arm, f"{mean(step['windows_a_stream_s'] for step in steps):.2f}", *(f"{value:.0f}" for value in used)]
        values += [f"{sum(used):.0f}", f"{mean(step['p95_s'] for step in steps):.2f}", f"{lost:.0f}"]
        lines.append(f"| {' | '.join(values)} |")
    return "\n".join(lines)


def line(found: Json) -> str:
    """What calm streams save, in a line."""
    all_s, fewer_s = (mean(map(_cpu, steps)) for steps in found["arms"].values())
    return (
        f"- A stream that is calm for minutes costs {1 - fewer_s / all_s:.0%} less with `adaptive.gap_s = "
        f"{found['gap_s']:g}`, which is off by default."
    )


def tables(args: argparse.Namespace, load: float) -> Iterator[tuple[str, str, Json]]:
    """Name, table and figures of what is asked for."""
    if not args.no_loss:
        found = loss(args)
        yield "calm-loss", loss_table(found), found
    if not args.no_live:
        found = live(args)
        yield "calm-live", live_table(found, load), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gaps", type=float, nargs="+", default=[2.0, 4.0, 8.0])
    parser.add_argument("--fakes", type=int, default=30, help="of each camera and length")
    parser.add_argument("--apart", type=float, default=240.0, help="seconds of calm before each")
    parser.add_argument("--rendered", type=int, default=40, help="seconds of each camera, which come again and again")
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--no-live", action="store_true")
    parser.add_argument("--no-loss", action="store_true")
    parser.add_argument("--write", action="store_true", help="the tables into docs/capacity.md, a line into README.md")
    parser.add_argument("--json", type=Path, metavar="PATH", help="all figures into a file")
    args = parser.parse_args()
    load, kept = os.getloadavg()[0], {}
    for name, text, found in tables(args, load):
        print(text)
        kept[name] = found
        if args.write:
            put("docs/capacity.md", name, text)
        if args.write and name == "calm-live":
            put("README.md", "calm", line(found))
    if args.json:
        args.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
