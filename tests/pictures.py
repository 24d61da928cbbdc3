"""Pictures and films whose every property is known, made by PyAV and Pillow."""

import importlib.util
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

UPRIGHT, TRANSPOSED = (1, 0, 0, 1), (0, 1, 1, 0)
MATRICES = {1: UPRIGHT, 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1), 5: TRANSPOSED, 6: (0, 1, -1, 0)}
MATRICES |= {7: (0, -1, -1, 0), 8: (0, -1, 1, 0)}
"""The display matrix (a, b, c, d) of each of EXIF's orientations: x' = ax + cy, y' = bx + dy (ISO/IEC 14496-12)."""


def four_corners(width: int = 160, height: int = 96) -> np.ndarray:
    """A picture uint8 (height, width, 3) that looks different in each of the eight orientations."""
    image = np.full((height, width, 3), 60, np.uint8)
    image[: height // 2, : width // 2] = (220, 40, 40)
    image[height // 2 :, width // 2 :] = (40, 60, 220)
    image[: height // 4, width // 2 :] = (60, 200, 60)
    return image


def as_shown(image: np.ndarray, orientation: int) -> np.ndarray:
    """What a viewer makes of `image` with that EXIF orientation, as Pillow has it."""
    picture = Image.fromarray(image)
    picture.getexif()[ExifTags.Base.Orientation] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))


def sample_portrait() -> np.ndarray:
    """The public-domain portrait that matplotlib ships, uint8 (600, 512, 3) RGB, with a face of 209 px."""
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("needs matplotlib's sample portrait: pip install dfd[demo]")
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return np.ascontiguousarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)[:600])


def portrait(side: int = 360) -> np.ndarray:
    """A square of it around the face, uint8 (side, side, 3) RGB."""
    return cv2.resize(sample_portrait()[20:532], (side, side), interpolation=cv2.INTER_AREA)


def write_film(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    codec: str = "libx264",
    fps: int = 25,
    orientation: int = 1,
    pixel: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Frames uint8 (H, W, 3) RGB as 4:2:0 video; `pixel` is width over height of a pixel."""
    a, b, c, d = (number << 16 for number in MATRICES[orientation])
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.options = "yuv420p", options or {}
        if pixel is not None:
            stream.codec_context.sample_aspect_ratio = pixel
        if orientation != 1:
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_hdr(path: Path, image: np.ndarray, curve: int, frames: int = 3, *, by_luminance: bool = False) -> Path:
    """`image` uint8 RGB of BT.709 as HEVC of 10 bits, BT.2020, PQ (16) or HLG (18); white is at 203 cd/m2: BT.2408.

    HLG's OOTF is that of each channel, as zscale writes it, or `by_luminance`, as BT.2100 has it.
    """
    light = (image / 255.0) ** 2.4 @ np.linalg.inv(_2020_TO_709).T
    signal = np.clip(_pq(light * 203) if curve == 16 else _hlg(light * 203 / 1000, by_luminance), 0, 1)
    luma = signal @ (0.2627, 0.6780, 0.0593)
    chroma = [(signal[..., n] - luma) / (2 * (1 - weight)) for n, weight in ((2, 0.0593), (0, 0.2627))]
    half = [np.rint(512 + 896 * c.reshape(c.shape[0] // 2, 2, c.shape[1] // 2, 2).mean((1, 3))) for c in chroma]
    planes = [np.rint(64 + 876 * luma), *half]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=25)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv420p10le"
        stream.options = {"preset": "ultrafast", "crf": "8", "x265-params": "log-level=none"}
        stream.codec_context.color_trc, stream.codec_context.color_primaries = curve, 9
        stream.codec_context.colorspace, stream.codec_context.color_range = 9, 1
        flat = np.concatenate([p.ravel() for p in planes]).astype(np.uint16).reshape(-1, image.shape[1])
        for _ in range(frames):
            frame = av.VideoFrame.from_ndarray(flat, format="yuv420p10le")
            frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range = curve, 9, 9, 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


_2020_TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])


def _pq(nits: np.ndarray) -> np.ndarray:
    power = (np.clip(nits, 0, None) / 10000) ** (1305 / 8192)
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** (2523 / 32)


def _hlg(light: np.ndarray, by_luminance: bool) -> np.ndarray:
    """`light` as a share of 1000 cd/m2: through the inverse OOTF to the scene, and its OETF."""
    light = np.clip(light, 0, None)
    shown = light @ (0.2627, 0.6780, 0.0593) if by_luminance else light
    scene = light * np.maximum(shown[..., None] if by_luminance else shown, 1e-9) ** (1 / 1.2 - 1)
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    )
