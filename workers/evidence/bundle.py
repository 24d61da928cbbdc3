"""A bundle: the files of one alarm in a folder, and `manifest.sha256`, which `sha256sum --check` reads too."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dfd_core.names import format_time
from dfd_core.queue.alarms import Alarm
from dfd_core.types import Thresholds, UInt8Array, WindowScore
from workers.evidence.pictures import VIEW_WORDS, Look, Shots, heat, strip, texture, timeline

MANIFEST = "manifest.sha256"
FACTS, STRIP, HEAT, TEXTURE, TIMELINE = "alarm.json", "strip.png", "heat.png", "texture.png", "timeline.png"
CROPS = "crops"
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>[\w.-]+(/[\w.-]+)*)", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is known of one alarm: all its `windows` in order, `shots` of the worst, worst first, and `facts` beside."""

    alarm: Alarm
    windows: Sequence[WindowScore]
    shots: Sequence[Shots]
    limits: Thresholds | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bundle:
    """One that was written: its name, the SHA-256 of each file, and `read` for what a file holds (OSError)."""

    name: str
    files: dict[str, str]
    read: Callable[[str], bytes]


def files_of(evidence: Evidence) -> dict[str, bytes]:
    """The files by name, without the manifest."""
    alarm = evidence.alarm
    title = f"{alarm.stream}, face {alarm.track}: thought fake from {format_time(alarm.since_s)} on"
    files: dict[str, bytes] = {}
    crops = []
    for shots in evidence.shots:
        for place in np.flatnonzero(shots.present):
            name = f"{CROPS}/{shots.score.seq:08d}-{place:02d}.png"
            files[name] = _png(shots.crops[place])
            logit = None if shots.logits is None else float(shots.logits[place])
            crops.append({"file": name, "seq": shots.score.seq, "time_s": float(shots.times_s[place]), "logit": logit})
    if evidence.shots:
        files[STRIP] = _png(strip(evidence.shots, title))
    for name, draw, check in ((HEAT, heat, "appearance"), (TEXTURE, texture, "texture")):
        sheet = draw(evidence.shots, f"{title}. Red: speaks for fake; blue: for real (check {check})")
        if sheet is not None:
            files[name] = _png(sheet)
    files[TIMELINE] = _png(timeline(evidence.windows, alarm.opened_s, evidence.limits, title))
    facts = {**evidence.facts, "alarm": alarm.to_dict(), "crops": crops}
    facts["texture"] = [_look(shots, look) for shots in evidence.shots for look in shots.looks]
    facts["windows"] = [_window(window) for window in evidence.windows]
    files[FACTS] = (json.dumps(facts, indent=1) + "\n").encode()
    return files


def write_bundle(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` and their manifest into the new folder `folder`; OSError."""
    folder.mkdir(mode=0o700)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    (folder / MANIFEST).write_text(manifest_of(files), encoding="ascii")


def manifest_of(files: Mapping[str, bytes]) -> str:
    """The manifest of `files`, by name."""
    return "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))


def read_manifest(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file by name; OSError, or ValueError where it is no manifest."""
    return parse_manifest((folder / MANIFEST).read_text(encoding="ascii"))


def parse_manifest(text: str) -> dict[str, str]:
    """The SHA-256 of each file by name; ValueError where it is no manifest."""
    found = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or ".." in match["name"].split("/"):
            raise ValueError(f"{line[:100]!r} is no line of a manifest")
        found[match["name"]] = match["digest"]
    return found


def _look(shots: Shots, look: Look) -> dict[str, Any]:
    time_s = float(shots.times_s[look.place])
    return {"seq": shots.score.seq, "time_s": time_s, "view": VIEW_WORDS[look.view], "logit": look.logit}


def _window(window: WindowScore) -> dict[str, Any]:
    names = ("seq", "start_s", "end_s", "fake_probability", "checks", "reason", "captured_at_s", "scored_at_s", "model")
    return {name: getattr(window, name) for name in names}


def _png(image: UInt8Array) -> bytes:
    """Lossless."""
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert done
    return data.tobytes()
