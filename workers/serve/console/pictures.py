"""What pages draw: curves as SVG, crops as JPEG for looking at, and the sound of an alarm."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Mapping, Sequence
from html import escape

import cv2
import numpy as np

from dfd_core.types import Segment, UInt8Array

_DASHES = ("none", "6 3", "2 3", "8 3 2 3", "1 3", "10 4")  # faces are told apart by more than colour
_WIDTH, _HEIGHT = 600, 120


def curve(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    span: tuple[float, float],
    limits: tuple[float, float] | None,
    label: str,
) -> str:
    """An SVG of `lines` by name, each (x, probability), over `span`; `limits`: alarm from, until. `label` says it."""
    first, last = span
    scale = _WIDTH / max(last - first, 1e-6)

    def place(x: float, value: float) -> str:
        return f"{(x - first) * scale:.1f},{(1 - value) * (_HEIGHT - 8) + 4:.1f}"

    parts = [f'<svg class="curve" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" preserveAspectRatio="none">']
    parts.append(f"<title>{escape(label)}</title>")
    for name, value in () if limits is None else (("enter", limits[0]), ("exit", limits[1])):
        parts.append(f'<polyline class="limit {name}" points="{place(first, value)} {place(last, value)}"/>')
    for number, (name, points) in enumerate(sorted(lines.items())):
        dash = _DASHES[number % len(_DASHES)]
        told = " ".join(place(x, value) for x, value in points)
        parts.append(
            f'<polyline class="line" stroke-dasharray="{dash}" points="{told}"><title>{escape(name)}</title></polyline>'
        )
        for x, value in points[-1:]:
            across, down = place(x, value).split(",")
            parts.append(f'<circle class="dot" cx="{across}" cy="{down}" r="3"/>')
    return "".join([*parts, "</svg>"])


def crops(segment: Segment) -> dict[int, str]:
    """The newest crop of each face as the source of an <img>, by track."""
    found = {}
    for track in segment.tracks:
        seen = np.flatnonzero(track.present)
        if len(seen):
            found[track.id] = _jpeg(track.crops[seen[-1]])
    return found


def beep() -> str:
    """Two notes as the source of an <audio>."""
    rate = 16_000
    times = np.arange(int(rate * 0.18)) / rate
    fade = np.sin(np.pi * times / times[-1])
    notes = np.concatenate([np.sin(2 * np.pi * hertz * times) * fade for hertz in (880, 660)])
    packed = io.BytesIO()
    with wave.open(packed, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((notes * 12_000).astype("<i2").tobytes())
    return "data:audio/wav;base64," + base64.b64encode(packed.getvalue()).decode()


def _jpeg(crop: UInt8Array) -> str:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert done
    return jpeg_source(data.tobytes())


def jpeg_source(data: bytes) -> str:
    """A JPEG as the source of an <img>."""
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()
