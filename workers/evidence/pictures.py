"""The pictures of a bundle: its crops in rows with what was thought of each, the same as heat maps, and a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from dfd_core.checks.views import VIEWS
from dfd_core.names import format_time
from dfd_core.types import Float32Array, Float64Array, Thresholds, UInt8Array, WindowScore

TILE = 144  # px of a crop in a sheet
LINE = 18  # px of a line of text
INK, FAINT, PAPER = (30, 30, 30), (150, 150, 150), (255, 255, 255)
# Okabe and Ito's colours, which the colour-blind tell apart; each check has a mark of its own too.
_LOOKS = (
    ((0, 114, 178), cv2.MARKER_CROSS),
    ((213, 94, 0), cv2.MARKER_TRIANGLE_UP),
    ((0, 158, 115), cv2.MARKER_SQUARE),
    ((204, 121, 167), cv2.MARKER_DIAMOND),
)
_WIDTH, _HEIGHT, _EDGE = 1000, 320, 48

VIEW_WORDS = tuple(view.words for view in VIEWS)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What the check texture saw in one view of the crop at `place`: `image` uint8 (S, S, 3), `map` float32 (h, w)."""

    place: int
    view: int
    image: UInt8Array
    map: Float32Array
    logit: float


@dataclass(frozen=True, slots=True, eq=False)
class Shots:
    """The newest frames of one window of a face: `crops` uint8 (N, S, S, 3) RGB, `times_s` float64 (N,) media seconds.

    `present` bool (N,): where the face was seen. `logits` float32 (N,) and `maps` float32 (N, h, w) are those of
    `ActivationMap`, where the network has a map, `looks` those of `TextureMap`.
    """

    score: WindowScore
    times_s: Float64Array
    present: np.typing.NDArray[np.bool_]
    crops: UInt8Array
    logits: Float32Array | None = None
    maps: Float32Array | None = None
    looks: tuple[Look, ...] = ()


def strip(shots: Sequence[Shots], title: str) -> UInt8Array:
    """A row a window, uint8 (H, W, 3) RGB: each crop with its media time and the network's probability of it alone."""
    rows = []
    for window in shots:
        tiles = [_tile(crop) if seen else None for crop, seen in zip(window.crops, window.present, strict=True)]
        rows.append((_about(window.score), list(zip(tiles, _captions(window), strict=True))))
    return _sheet(title, rows)


def heat(shots: Sequence[Shots], title: str) -> UInt8Array | None:
    """The same with red where the network saw a reason for fake, blue for real; None where no window has a map."""
    known = [window for window in shots if window.maps is not None]
    top = max((float(np.abs(window.maps).max()) for window in known if window.maps is not None), default=0.0)
    rows = []
    for window in known:
        assert window.maps is not None
        crops = zip(window.crops, window.maps, window.present, strict=True)
        tiles = [_heated(crop, found, top) if seen else None for crop, found, seen in crops]
        rows.append((_about(window.score), list(zip(tiles, _captions(window), strict=True))))
    return _sheet(title, rows) if rows else None


def texture(shots: Sequence[Shots], title: str) -> UInt8Array | None:
    """The views that the check texture looked at, coloured as heat maps are; None where it has none."""
    known = [window for window in shots if window.looks]
    top = max((float(np.abs(look.map).max()) for window in known for look in window.looks), default=0.0)
    rows = []
    for window in known:
        tiles = [
            (
                _heated(look.image, look.map, top),
                f"{window.times_s[look.place]:.2f} s {_sigmoid(look.logit):.2f} {VIEW_WORDS[look.view]}",
            )
            for look in window.looks
        ]
        rows.append((_about(window.score), tiles))
    return _sheet(title, rows) if rows else None


def timeline(windows: Sequence[WindowScore], opened_s: float, limits: Thresholds | None, title: str) -> UInt8Array:
    """Each check of every window and the fused probability over media time, uint8 (H, W, 3) RGB."""
    canvas = np.full((_HEIGHT + 3 * _EDGE, _WIDTH, 3), PAPER, np.uint8)
    first = min((window.end_s for window in windows), default=opened_s)
    span = max(max((window.end_s for window in windows), default=opened_s) - first, 1e-3)

    def place(time_s: float, value: float) -> tuple[int, int]:
        across = (min(max(time_s, first), first + span) - first) / span
        return round(_EDGE + across * (_WIDTH - 2 * _EDGE)), round(_EDGE + (1 - value) * _HEIGHT)

    _write(canvas, title, (_EDGE, 26))
    for value in (0.0, 0.5, 1.0):
        cv2.line(canvas, place(first, value), place(first + span, value), (225, 225, 225), 1)
        _write(canvas, f"{value:.1f}", (12, place(first, value)[1] + 5))
    for time_s in np.linspace(first, first + span, 5):
        _write(canvas, format_time(float(time_s)), (place(time_s, 0)[0] - 18, _EDGE + _HEIGHT + LINE))
    for name, value in () if limits is None else (("alarm from", limits.enter), ("until", limits.exit)):
        cv2.line(canvas, place(first, value), place(first + span, value), FAINT, 1)
        _write(canvas, f"{name} {value:.2f}", (_WIDTH - 3 * _EDGE, place(first, value)[1] - 4), FAINT)
    cv2.line(canvas, place(opened_s, 0), place(opened_s, 1), INK, 1)
    _write(canvas, "alarm", (place(opened_s, 1)[0] + 4, _EDGE + 12))
    names = sorted({name for window in windows for name in window.checks})
    curves = [(name, *_LOOKS[i % len(_LOOKS)]) for i, name in enumerate(names)]
    for name, colour, mark in curves:
        known = [place(w.end_s, score) for w in windows if (score := w.checks.get(name)) is not None]
        _curve(canvas, known, colour, 1)
        for point in known:
            cv2.drawMarker(canvas, point, colour, mark, 8, 1, cv2.LINE_AA)
    fused = [place(w.end_s, w.fake_probability) for w in windows if w.fake_probability is not None]
    _curve(canvas, fused, INK, 2)
    _legend(canvas, curves)
    return canvas


def _legend(canvas: UInt8Array, curves: Sequence[tuple[str, tuple[int, int, int], int]]) -> None:
    y, x = canvas.shape[0] - _EDGE // 2, _EDGE
    cv2.line(canvas, (x, y - 5), (x + 24, y - 5), INK, 2)
    _write(canvas, "probability of fake", (x + 32, y))
    for place, (name, colour, mark) in enumerate(curves):
        left = x + 230 + 170 * place
        cv2.drawMarker(canvas, (left, y - 5), colour, mark, 10, 1, cv2.LINE_AA)
        _write(canvas, name, (left + 12, y))


def _curve(canvas: UInt8Array, points: Sequence[tuple[int, int]], colour: tuple[int, int, int], thickness: int) -> None:
    if points:
        cv2.polylines(canvas, [np.array(points, np.int32)], False, colour, thickness, cv2.LINE_AA)


def _sheet(title: str, rows: Sequence[tuple[str, Sequence[tuple[UInt8Array | None, str]]]]) -> UInt8Array:
    step = TILE + 2 * LINE + 8
    width = 8 + max((len(tiles) for _, tiles in rows), default=0) * (TILE + 8)
    canvas = np.full((2 * LINE + len(rows) * (step + LINE), max(width, 640), 3), PAPER, np.uint8)
    _write(canvas, title, (8, LINE))
    for number, (about, tiles) in enumerate(rows):
        top = 2 * LINE + number * (step + LINE)
        _write(canvas, about, (8, top + LINE - 4))
        for place, (tile, caption) in enumerate(tiles):
            left = 8 + place * (TILE + 8)
            shown = np.full((TILE, TILE, 3), (235, 235, 235), np.uint8) if tile is None else tile
            canvas[top + LINE : top + LINE + TILE, left : left + TILE] = shown
            _write(canvas, caption, (left, top + LINE + TILE + 14))
    return canvas


def _about(score: WindowScore) -> str:
    checks = ", ".join(f"{name} {value:.2f}" for name, value in sorted(score.checks.items()) if value is not None)
    found = "not scorable" if score.fake_probability is None else f"probability {score.fake_probability:.2f}"
    return f"window {format_time(score.start_s)} to {format_time(score.end_s)}: {found} ({checks})"


def _captions(window: Shots) -> list[str]:
    said = []
    for place, time_s in enumerate(window.times_s):
        if not window.present[place]:
            said.append(f"{time_s:.2f} s  not seen")
        elif window.logits is None:
            said.append(f"{time_s:.2f} s")
        else:
            said.append(f"{time_s:.2f} s  {_sigmoid(float(window.logits[place])):.2f}")
    return said


def _sigmoid(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))


def _tile(crop: UInt8Array) -> UInt8Array:
    shrinks = crop.shape[0] > TILE
    resized = cv2.resize(crop, (TILE, TILE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)
    return np.asarray(resized, np.uint8)


def _heated(crop: UInt8Array, found: Float32Array, top: float) -> UInt8Array:
    """`crop` in grey under `found` float32 (h, w), where `top` is the strongest; half as strong is a quarter as red."""
    grey = cv2.cvtColor(cv2.cvtColor(_tile(crop), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.float32)
    spread = cv2.resize(found, (TILE, TILE), interpolation=cv2.INTER_CUBIC) / (top or 1.0)
    strength = np.clip(np.abs(spread), 0, 1)[:, :, None] ** 2 * 0.75
    colour = np.where(spread[:, :, None] > 0, np.array([213, 40, 20], np.float32), np.array([0, 90, 200], np.float32))
    return np.asarray(np.clip(grey * (1 - strength) + colour * strength, 0, 255), np.uint8)


def _write(canvas: UInt8Array, text: str, place: tuple[int, int], ink: tuple[int, int, int] = INK) -> None:
    """Only ASCII has letters in OpenCV."""
    cv2.putText(
        canvas, text.encode("ascii", "replace").decode(), place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, ink, 1, cv2.LINE_AA
    )
