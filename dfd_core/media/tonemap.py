"""HDR pictures (PQ and HLG, BT.2100) as they look on a screen of BT.709.

FFmpeg's lut3d does the work, on a table of the standards' formulas. Its scaler could map tones too, but takes three to
eight seconds to begin with each file, and clips or darkens; zscale and libplacebo are not in PyAV's wheels.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame

from dfd_core.types import Float64Array, UInt8Array

PQ, HLG = 16, 18  # transfer characteristics, ITU-T H.273
WHITE_NITS = 203.0  # of a white sheet in HDR: BT.2408
_SCREEN_NITS = 1000.0  # what HLG is graded on, and most PQ
_KNEE = 0.9  # of white: what is darker keeps its light, as faces do
_POINTS = 65  # of the table, a side
_TO_BT709 = np.array(  # linear light of BT.2020 in that of BT.709: BT.2087
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)


def is_hdr(picture: VideoFrame) -> bool:
    """Whether its transfer curve is one of HDR."""
    return int(picture.color_trc) in (PQ, HLG)


class ToneMapper:
    """Maps pictures of a stream; the filter graph is built for the first, and again where their form changes."""

    def __init__(self) -> None:
        self._form: tuple[object, ...] | None = None
        self._graph = Graph()

    def rgb(self, picture: VideoFrame, width: int, height: int) -> UInt8Array:
        """The picture as uint8 (height, width, 3) RGB of BT.709."""
        form = (picture.width, picture.height, picture.format.name, int(picture.color_trc), width, height)
        if form != self._form:
            self._graph, self._form = _graph(picture, width, height), form
        self._graph.vpush(picture)
        return np.asarray(self._graph.vpull().to_ndarray(format="rgb24"), np.uint8)


def _graph(picture: VideoFrame, width: int, height: int) -> Graph:
    graph = Graph()
    shrinks = width * height < picture.width * picture.height
    with tempfile.TemporaryDirectory(prefix="dfd-") as folder:  # the filter reads it once
        cube = Path(folder) / "hdr.cube"
        cube.write_text(_cube(int(picture.color_trc)))
        graph.link_nodes(
            graph.add_buffer(
                width=picture.width, height=picture.height, format=picture.format, time_base=picture.time_base
            ),
            graph.add("scale", w=str(width), h=str(height), flags="area" if shrinks else "bicubic"),
            graph.add("format", pix_fmts="gbrp12"),
            graph.add("lut3d", file=str(cube), interp="tetrahedral"),
            graph.add("format", pix_fmts="gbrp"),
            graph.add("buffersink"),
        ).configure()
    return graph


@cache
def _cube(curve: int) -> str:
    """The table in the form of Iridas: red runs fastest."""
    axis = np.linspace(0, 1, _POINTS)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    shown = to_bt709(np.stack([red, green, blue], -1).reshape(-1, 3), curve)
    return f"LUT_3D_SIZE {_POINTS}\n" + "\n".join(f"{r:.5f} {g:.5f} {b:.5f}" for r, g, b in shown.tolist()) + "\n"


def to_bt709(signal: Float64Array, curve: int) -> Float64Array:
    """R'G'B' of BT.2100 float64 (N, 3) in [0, 1], curve PQ or HLG, as R'G'B' of BT.709 (gamma of BT.1886)."""
    light = (_pq_nits(signal) if curve == PQ else _hlg_nits(signal)) / WHITE_NITS
    light = np.clip(light @ _TO_BT709.T, 0, None)
    peak = light.max(axis=1, keepdims=True)
    bent = _bend(peak) / np.maximum(peak, 1e-9)  # one factor for all three: hues stay
    return np.asarray(np.clip(light * bent, 0, 1) ** (1 / 2.4), np.float64)


def _bend(light: Float64Array) -> Float64Array:
    """Keeps what is darker than the knee, and brings the rest below white (Reinhard et al. 2002, equation 4)."""
    brightest = (_SCREEN_NITS / WHITE_NITS - _KNEE) / (1 - _KNEE)
    over = np.clip((light - _KNEE) / (1 - _KNEE), 0, brightest)
    return np.minimum(light, _KNEE) + (1 - _KNEE) * over * (1 + over / brightest**2) / (1 + over)


def _pq_nits(signal: Float64Array) -> Float64Array:
    """Light on the screen, cd/m2: the EOTF of SMPTE ST 2084."""
    root = np.clip(signal, 0, 1) ** (32 / 2523)
    return np.asarray(10000 * (np.clip(root - 0.8359375, 0, None) / (18.8515625 - 18.6875 * root)) ** (8192 / 1305))


def _hlg_nits(signal: Float64Array) -> Float64Array:
    """Light on a screen of 1000 cd/m2: the inverse OETF of HLG and its OOTF, gamma 1.2.

    The OOTF is of each channel, as in zscale of FFmpeg unless told otherwise; by BT.2100 it is that of luminance,
    under which strong colours of files that were converted with zscale would come out paler than they were.
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return np.asarray(_SCREEN_NITS * scene**1.2)
