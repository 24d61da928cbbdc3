"""What video does to a face before a detector sees it, applied to a real picture and its fake alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np

from dfd_core.types import UInt8Array

MACROBLOCK = 16
_DECODERS = {"libx264": "h264", "libx265": "hevc", "libvpx-vp9": "vp9"}  # where it has another name
_OF_CODEC = {  # options that a constant rate factor of H.264 becomes; MPEG-2 and MPEG-4 take a quantiser
    "libx264": lambda crf: {"crf": str(crf), "preset": "superfast", "tune": "zerolatency"},
    "libx265": lambda crf: {
        "preset": "superfast",
        "tune": "zerolatency",
        "x265-params": f"crf={crf}:pools=none:frame-threads=1:log-level=none",
    },
    "libvpx-vp9": lambda crf: {
        "crf": str(min(63, round(crf * 1.35))),
        "b": "0",
        "deadline": "realtime",
        "cpu-used": "8",
        "lag-in-frames": "0",
    },
}
_ALIKE, _MOST_BLUR, _HALVINGS = 0.04, 0.03, 8  # of equal sharpness; of the side; halvings of the blur
_QUANTISERS_A_CRF = 0.7  # of MPEG-2 and MPEG-4: from 2 at 17 to 19 at 41


@dataclass(frozen=True, slots=True)
class Degradation:
    """What happens to real and fake alike after blending; ranges are (low, high)."""

    untouched_share: float = 0.0  # of pairs: as large as they are, and nothing is done to them
    face_px: tuple[int, int] = (80, 288)  # native side of the crop, log-uniform
    codec_share: float = 0.65  # share of samples that go through a video codec
    codecs: tuple[str, ...] = ("libx264",)  # one of these; one that is named twice is drawn twice as often
    crf: tuple[int, int] = (17, 38)  # its constant rate factor; quantisers of other codecs are scaled to it
    saturation: tuple[float, float] = (1.0, 1.0)  # factor, before everything else
    jpeg_share: float = 0.2
    jpeg_quality: tuple[int, int] = (35, 95)
    rescale_share: float = 0.35  # scaled down by up to `rescale` and up again
    rescale: float = 2.2
    blur_share: float = 0.2
    blur_sigma: tuple[float, float] = (0.3, 1.3)
    noise_share: float = 0.3
    noise_sigma: tuple[float, float] = (1.0, 8.0)  # of 255
    equal_sharpness_share: float = 0.0  # of pairs of a data set: the sharper one is blurred to the other's, before
    sharpen_share: float = 0.0  # as cameras do: an unsharp mask
    smooth_share: float = 0.0  # as beauty filters do: grain away, edges kept


def degrade(
    images: Sequence[UInt8Array], plan: Degradation, rng: np.random.Generator, frames: int = 1
) -> list[UInt8Array]:
    """All `images`, uint8 (S, S, 3) RGB of one size, through the same random degradations; shapes are kept.

    They are versions of a clip of `frames` frames, one version after the other; each frame has noise of its own.
    """
    side = images[0].shape[0]
    out = list(images)
    if plan.saturation[0] != plan.saturation[1]:
        factor = rng.uniform(*plan.saturation)
        out = [saturated(i, factor) for i in out]
    if rng.random() < plan.rescale_share:
        small = max(32, round(side / rng.uniform(1.1, plan.rescale)))
        up = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA]))
        smaller = [cv2.resize(i, (small, small), interpolation=cv2.INTER_AREA) for i in out]
        out = [cv2.resize(i, (side, side), interpolation=up) for i in smaller]
    if rng.random() < plan.blur_share:
        sigma = rng.uniform(*plan.blur_sigma)
        out = [cv2.GaussianBlur(i, (0, 0), sigma) for i in out]
    if plan.smooth_share and rng.random() < plan.smooth_share:
        much = rng.uniform(10, 35)
        out = [np.asarray(cv2.bilateralFilter(i, 7, much, 2.5), np.uint8) for i in out]
    if plan.sharpen_share and rng.random() < plan.sharpen_share:
        much, sigma = rng.uniform(0.2, 1.0), rng.uniform(0.7, 2.0)
        out = [cv2.addWeighted(i, 1 + much, cv2.GaussianBlur(i, (0, 0), sigma), -much, 0) for i in out]
    if rng.random() < plan.noise_share:
        noise = rng.normal(0, rng.uniform(*plan.noise_sigma), (frames, *out[0].shape))
        out = [np.clip(i + noise[n % frames], 0, 255).astype(np.uint8) for n, i in enumerate(out)]
    if rng.random() < plan.jpeg_share:
        quality = int(rng.integers(*plan.jpeg_quality))
        out = [through_jpeg(i, quality) for i in out]
    if rng.random() < plan.codec_share:
        codec = str(rng.choice(plan.codecs)) if len(plan.codecs) > 1 else plan.codecs[0]
        crf, left, top = int(rng.integers(*plan.crf)), *rng.integers(0, MACROBLOCK, 2)
        drift = rng.uniform(-1.5, 1.5, 2)
        shift, moved = (int(left), int(top)), (float(drift[0]), float(drift[1]))
        out = [through_video(i, crf, shift, moved, codec=codec) for i in out]
    return [np.ascontiguousarray(i, dtype=np.uint8) for i in out]


def equally_sharp(images: Sequence[UInt8Array], size: int) -> list[UInt8Array]:
    """`images` uint8 (S, S, 3) RGB, each blurred (Gaussian) until it is as sharp as the least sharp one.

    Sharpness is what a network sees that looks at them at `size` px.
    """
    sharpness = [sharpness_of(image, size) for image in images]
    return [_blurred_to(image, min(sharpness), size) for image in images]


def sharpness_of(image: UInt8Array, size: int) -> float:
    """Energy of the Laplacian over the variance of grey, of `image` uint8 (S, S, 3) at `size` px."""
    shrinks = image.shape[0] > size
    seen = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    grey = cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var() / (grey.var() + 4))


def _blurred_to(image: UInt8Array, sharpness: float, size: int) -> UInt8Array:
    """`image`, blurred until it is as sharp as `sharpness`, to a few per cent; as it is where it is not sharper."""
    if sharpness_of(image, size) <= sharpness * (1 + _ALIKE):
        return image
    low, high = 0.0, _MOST_BLUR * image.shape[0]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        blurred = np.asarray(cv2.GaussianBlur(image, (0, 0), middle), np.uint8)
        now = sharpness_of(blurred, size)
        if abs(now - sharpness) <= _ALIKE * sharpness:
            break
        low, high = (middle, high) if now > sharpness else (low, middle)
    return blurred


def through_jpeg(image: UInt8Array, quality: int) -> UInt8Array:
    """`image` uint8 (H, W, 3) RGB, encoded and decoded as JPEG of `quality` 1 to 100."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def saturated(image: UInt8Array, factor: float) -> UInt8Array:
    """`image` uint8 (H, W, 3) RGB with its colours `factor` times as far from grey."""
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)[..., None]
    return np.clip(np.rint(grey + (image - grey) * np.float32(factor)), 0, 255).astype(np.uint8)


def through_video(
    image: UInt8Array,
    crf: int,
    offset: tuple[int, int] = (0, 0),
    drift: tuple[float, float] = (0.0, 0.0),
    *,
    codec: str = "libx264",
) -> UInt8Array:
    """`image` uint8 (H, W, 3) RGB as the second, predicted frame of a short clip.

    `crf` is H.264's constant rate factor (for other codecs what is like it), `offset` px moves the picture
    against the macroblock grid, and `drift` px is how far the first frame, which it is predicted from, was away.
    """
    height, width = image.shape[:2]
    left, top = offset
    full = (-(-(height + top) // MACROBLOCK) * MACROBLOCK, -(-(width + left) // MACROBLOCK) * MACROBLOCK)
    board = cv2.copyMakeBorder(image, top, full[0] - height - top, left, full[1] - width - left, cv2.BORDER_REPLICATE)
    before = cv2.warpAffine(
        board, np.array([[1, 0, drift[0]], [0, 1, drift[1]]]), (full[1], full[0]), borderMode=cv2.BORDER_REPLICATE
    )
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = full[1], full[0], "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    quantiser = str(max(2, round((crf - 14) * _QUANTISERS_A_CRF)))
    of_codec = _OF_CODEC[codec](crf) if codec in _OF_CODEC else {"qmin": quantiser, "qmax": quantiser}
    encoder.options = {"threads": "1", **of_codec}
    packets = []
    for number, picture in enumerate((before, board)):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoder = av.CodecContext.create(_DECODERS.get(codec, codec), "r")
    decoder.thread_count = 1  # two pictures are not worth a pool of threads
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + list(decoder.decode(None))
    decoded = frames[-1].to_ndarray(format="rgb24")
    return np.asarray(decoded[top : top + height, left : left + width], np.uint8)
