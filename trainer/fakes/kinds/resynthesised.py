"""Pictures as a generator would have made them: every pixel enlarged by a decoder, smoothed and sharpened again.

Networks that make whole faces enlarge small maps of features; what that leaves is periodic, for each pixel of a period
is made by other weights (Odena et al., Distill 2016; Durall, Keuper and Keuper, CVPR 2020, arXiv:2003.01826). Face
restoration, which talking heads are often sent through, removes grain and sharpens edges. Both are simulated here, at
random strengths, without any generator: what is learned shall be the traces, not one network's hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dfd_core.types import Float32Array, UInt8Array
from trainer.fakes.kinds.kind import OfRealFaces, Pair
from trainer.fakes.real_faces import RealFaces

_LEAST_SIDE = 48  # px of the map that is enlarged


class Resynthesised(OfRealFaces):
    """Needs no landmarks: the whole crop is made anew."""

    name = "resynthesised"

    def pair(self, faces: RealFaces, side: int, rng: np.random.Generator, index: int | None) -> Pair:
        """In one light."""
        real = faces.crop(side, rng, faces.draw(rng) if index is None else index)
        return [real, resynthesise(real, draw_resynthesis(rng))]


@dataclass(frozen=True, slots=True)
class Resynthesis:
    """How a picture is made anew; drawn once a sample, so that a clip can keep it."""

    scale: float  # side of the generator's picture over that of the crop
    smoothing: str  # bilateral, median, domain (transform filter) or gauss
    smoothness: float  # 0 to 1
    period: int  # px of the decoder's pattern: 2 or 4
    unevenness: float  # deviation of the weights between the pixels of a period
    sharpness: float  # of the unsharp mask; 0 is none
    sharpness_sigma: float  # px
    enlarged_by: int  # OpenCV's interpolation back to the crop's size
    seed: int  # of the decoder's weights


def draw_resynthesis(rng: np.random.Generator) -> Resynthesis:
    """Random parameters, ours."""
    return Resynthesis(
        scale=float(np.exp(rng.uniform(np.log(0.45), 0.0))),
        smoothing=str(rng.choice(["bilateral", "bilateral", "median", "domain", "gauss"])),
        smoothness=float(rng.random()),
        period=int(rng.choice([2, 2, 4])),
        unevenness=float(rng.uniform(0.01, 0.08)),
        sharpness=float(rng.uniform(0.3, 1.5)) if rng.random() < 0.6 else 0.0,
        sharpness_sigma=float(rng.uniform(0.8, 2.0)),
        enlarged_by=int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4])),
        seed=int(rng.integers(1 << 31)),
    )


def resynthesise(image: UInt8Array, plan: Resynthesis) -> UInt8Array:
    """`image` uint8 (S, S, 3) RGB as `plan` makes it anew, the same shape."""
    side = image.shape[0]
    small = max(min(side, _LEAST_SIDE), round(side * plan.scale) // plan.period * plan.period)
    x = image if small == side else cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    made = decoded(_smoothed(np.asarray(x, np.uint8), plan), plan.period, plan.unevenness, plan.seed)
    if plan.sharpness:
        blurred = cv2.GaussianBlur(made, (0, 0), plan.sharpness_sigma)
        made = np.asarray(made * (1 + plan.sharpness) - blurred * plan.sharpness, np.float32)
    out = np.clip(np.rint(made), 0, 255).astype(np.uint8)
    return out if small == side else np.asarray(cv2.resize(out, (side, side), interpolation=plan.enlarged_by), np.uint8)


def decoded(image: UInt8Array, period: int, unevenness: float, seed: int) -> Float32Array:
    """`image` (H, W, 3) with every pixel of a `period` made by a 3x3 kernel of its own, near the identity; float32."""
    rng = np.random.default_rng(seed)
    given, made = image.astype(np.float32), np.empty(image.shape, np.float32)
    spread = rng.uniform(0, 0.06)  # all kernels blur a little, alike
    for row in range(period):
        for column in range(period):
            kernel = rng.normal(spread, 0.7 * unevenness, (3, 3))
            kernel[1, 1] += 1
            kernel *= (1 + rng.normal(0, 0.35 * unevenness)) / kernel.sum()
            made[row::period, column::period] = cv2.filter2D(given, -1, kernel)[row::period, column::period]
    return made


def _smoothed(image: UInt8Array, plan: Resynthesis) -> UInt8Array:
    """Grain away and edges kept, as restoration does; or plainly blurred."""
    much = plan.smoothness
    if plan.smoothing == "bilateral":
        return np.asarray(cv2.bilateralFilter(image, 7, 12 + 33 * much, 1.5 + 2.5 * much), np.uint8)
    if plan.smoothing == "median":
        return np.asarray(cv2.medianBlur(image, 3), np.uint8)
    if plan.smoothing == "domain":  # Gastal and Oliveira, SIGGRAPH 2011
        return np.asarray(
            cv2.edgePreservingFilter(image, flags=cv2.RECURS_FILTER, sigma_s=4 + 16 * much, sigma_r=0.05 + 0.2 * much),
            np.uint8,
        )
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5 + 0.6 * much), np.uint8)
