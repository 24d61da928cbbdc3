"""What video does to a face before a detector sees it, applied to a real picture and its fake alike."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av
import cv2
import numpy as np

from dfd_core.types import UInt8Array
from trainer.recipes import Degradation

MACROBLOCK = 16
_DECODERS = {"libx264": "h264"}  # where it has another name
_QUANTISERS_A_CRF = 0.7  # of MPEG-2 and MPEG-4: from 2 at 17 to 19 at 41


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
        out = [
            cv2.resize(cv2.resize(i, (small, small), interpolation=cv2.INTER_AREA), (side, side), interpolation=up)
            for i in out
        ]
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


def through_jpeg(image: UInt8Array, quality: int) -> UInt8Array:
    """`image` uint8 (H, W, 3) RGB, encoded and decoded as JPEG of `quality` 1 to 100."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def saturated(image: UInt8Array, factor: float) -> UInt8Array:
    """`image` uint8 (H, W, 3) RGB with its colours `factor` times as far from grey."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
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

    `crf` is H.264's constant rate factor (for MPEG-2 and MPEG-4 a like quantiser), `offset` px moves the picture
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
    of_codec = {"libx264": {"crf": str(crf), "preset": "superfast", "tune": "zerolatency"}}
    encoder.options = {"threads": "1", **of_codec.get(codec, {"qmin": quantiser, "qmax": quantiser})}
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
