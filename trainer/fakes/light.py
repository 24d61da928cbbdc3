"""What light, cameras and the way that pictures are shown do to colours; it says nothing of whether a face is real."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dfd_core.types import Float64Array, UInt8Array
from trainer.fakes.degrade import saturated

_TO_BT2020 = np.array(  # linear light of BT.709 in that of BT.2020: BT.2087
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
)
_GAMMA = 2.2


def relit(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """`image` uint8 (H, W, 3) RGB in other colours: one of `CHANGES`, drawn with its strength by `rng`."""
    return CHANGES[int(rng.integers(len(CHANGES)))](image, rng)


def other_saturation(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Colours .7 to 1.4 times as far from grey."""
    return saturated(image, rng.uniform(0.7, 1.4))


def other_light(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """A gain of .88 to 1.1 and an exponent of .75 to 1.35 for each channel, as under another lamp."""
    gains, exponents = rng.uniform(0.88, 1.1, 3), rng.uniform(0.75, 1.35, 3)
    return _by_table(image, gains * _LEVELS[:, None] ** exponents)


def other_curve(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """An exponent of .75 to 1.35, the same for all channels."""
    return _by_table(image, np.repeat(_LEVELS[:, None] ** rng.uniform(0.75, 1.35), 3, axis=1))


def wide_gamut(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """As a picture of BT.2020's primaries looks where it is taken for BT.709: paler."""
    light = (image / 255.0) ** _GAMMA @ _TO_BT2020.T
    return np.asarray(np.rint(np.clip(light, 0, 1) ** (1 / _GAMMA) * 255), np.uint8)


CHANGES: tuple[Callable[[UInt8Array, np.random.Generator], UInt8Array], ...] = (
    other_saturation,
    other_light,
    other_curve,
    wide_gamut,
)
_LEVELS = np.arange(256) / 255


def _by_table(image: UInt8Array, curves: Float64Array) -> UInt8Array:
    """Each channel of `image` by its column of `curves` (256, 3), of which 1 is white."""
    table = np.rint(np.clip(curves, 0, 1) * 255).astype(np.uint8)
    return np.stack([table[image[..., channel], channel] for channel in range(3)], axis=-1)
