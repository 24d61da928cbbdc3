"""Where the network of the check texture saw what: its logit, spread over the places of the crop.

The logit is an offset and what each statistic of each channel adds: its distance from the usual, weighed (see
`statistics.RegionStatistics` and `Discriminant`). Each is spread over the places that it comes from:

- a mean exactly: a place adds its value less the mean of the crop, over the number of places;
- a deviation by shares: a place gets the share that it has in the variance. That is a convention: the logarithm of a
  sum belongs to no place alone.
- what is the same for all places of a region (how far the usual is away) is spread over that region evenly.

All of it adds up to the logit less the offset. Which values of the file are which is found out by trying.
"""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np

from dfd_core.errors import ModelError
from dfd_core.models.activation import InnerNetwork
from dfd_core.models.regions import regions
from dfd_core.models.store import ModelInput
from dfd_core.types import Float32Array, UInt8Array

STATISTICS = 4  # a channel: mean, log deviation, and both in the face less its surround
_LEAST, _FAR = 1e-3, 5.0  # as `statistics` has them
_CLOSE = 1e-3
_LEAST_SIDE = 8  # of feature maps
_SIDE = 24  # places of a map across: the finest feature maps have as many

Values = dict[int, Float32Array]


class TextureMap:
    """The texture.tflite of a model, whose inner values can be read; slow, and not thread-safe."""

    def __init__(self, path: Path, given: ModelInput) -> None:
        """Load the file at `path`; ModelError where it is no such network."""
        self._net = InnerNetwork(path, given)
        noise = np.random.default_rng(0).integers(0, 256, (5, given.size, given.size, 3), np.uint8)
        noise //= np.arange(1, 6, dtype=np.uint8)[:, None, None, None]  # by two alone a wrong one may fit by chance
        self._seen = [self._values(image) for image in noise]
        self._logits: int = self._net.outputs[0]["index"]
        self._taps, self._statistics = self._find_taps()
        self.views = int(self._seen[0][self._logits].shape[-1])  # of a crop
        self._heads = self._find_heads()
        del self._seen

    def look(self, image: UInt8Array, view: int) -> tuple[Float32Array, float]:
        """A map float32 (24, 24) and the logit of `image` uint8 (size, size, 3) RGB as one view.

        Of several voices the one that accuses most. The map's sum is the logit less an offset of its own, see
        `offset`: places above 0 speak for fake, below for real.
        """
        values = self._values(image)
        logits = values[self._logits].reshape(-1)
        head = view + self.views * int(np.argmax(logits[view :: self.views]))
        mean, scale, direction, _ = self._heads[head]
        statistics = values[self._statistics].reshape(-1)
        away = statistics - mean
        weights = (
            direction
            * scale
            * np.divide(
                np.clip(away * scale, -_FAR, _FAR),
                away * scale,
                out=np.ones_like(away),
                where=np.abs(away * scale) > _FAR,
            )
        )
        found, first = np.zeros((_SIDE, _SIDE), np.float32), 0
        for tap in self._taps:
            maps = values[tap][0]
            last = first + STATISTICS * maps.shape[-1]
            found += _wide(_spread(maps, mean[first:last], weights[first:last]))
            first = last
        return found, float(logits[head])

    def offsets(self, view: int) -> list[float]:
        """What the logit of a view has beyond the sum over its map, of each voice."""
        return [offset for *_, offset in self._heads[view :: self.views]]

    def _values(self, image: UInt8Array) -> Values:
        self._net.feed(image)
        return self._net.values()

    def _find_taps(self) -> tuple[list[int], int]:
        """The feature maps whose statistics stand side by side in one row, in their order, and that row."""
        first = self._seen[0]
        rows = sorted((i for i, value in first.items() if value.ndim == 2), key=lambda i: -first[i].size)
        maps = [
            i
            for i, value in first.items()
            if value.ndim == 4 and min(value.shape[1:3]) >= _LEAST_SIDE and i != self._net.input
        ]
        told = {i: _statistics(first[i][0]) for i in maps}
        for row in rows:
            taps, values = list[int](), first[row].reshape(-1)
            done = 0
            while done < len(values):
                rest = values[done:]
                tap = next((i for i in maps if _begins(rest, told[i])), None)
                if tap is None:
                    break
                taps.append(tap)
                done += len(told[tap])
            if done == len(values) and taps:
                return taps, row
        raise ModelError("The network does not take the statistics that dfd knows: it has no map of texture.")

    def _find_heads(self) -> list[tuple[Float32Array, Float32Array, Float32Array, float]]:
        """Mean, inverse deviation, direction and offset of each logit."""
        first, second = self._seen[:2]
        rows = np.stack([seen[self._statistics].reshape(-1) for seen in self._seen])
        logits = np.stack([seen[self._logits].reshape(-1) for seen in self._seen])
        near = _CLOSE * np.maximum(1.0, np.ptp(logits, axis=0))
        same = [v.reshape(-1) for i, v in first.items() if v.size == rows[0].size and np.array_equal(v, second[i])]
        heads = dict[int, tuple[Float32Array, Float32Array, Float32Array, float]]()
        for mean, scale in permutations(same, 2):
            told = np.clip((rows - mean) * scale, -_FAR, _FAR) @ np.stack(same, axis=1)
            left = logits[:, :, None] - told[:, None, :]
            for logit, direction in np.argwhere(np.ptp(left, axis=0) < near[:, None]).tolist():
                heads[logit] = mean, scale, same[direction], float(left[0, logit, direction])
        if len(heads) < logits.shape[1]:
            raise ModelError("The network weighs its statistics otherwise than dfd knows: it has no map of texture.")
        return [heads[number] for number in range(len(heads))]


def _regions(maps: Float32Array) -> list[Float32Array]:
    """As the file has them, whose constants are float16."""
    return [where.astype(np.float16).astype(np.float32) for where in regions(*maps.shape[:2])]


def _moments(maps: Float32Array, where: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Mean and log deviation (C,) of `maps` (h, w, C) in a region, and the shares (h, w, C) in the variance."""
    mean = (maps * where).sum((0, 1))
    parts = np.square(maps - mean) * where
    variance = parts.sum((0, 1))
    shares = np.divide(parts, variance, out=np.broadcast_to(where, parts.shape).copy(), where=variance > 0)
    return mean, np.log(np.sqrt(np.maximum(variance, _LEAST**2 / 100)) + _LEAST), shares


def _begins(values: Float32Array, told: Float32Array) -> bool:
    return len(told) <= len(values) and np.allclose(told, values[: len(told)], atol=_CLOSE)


def _statistics(maps: Float32Array) -> Float32Array:
    """Float32 (4 C,) of `maps` (h, w, C), as `RegionStatistics` gives them."""
    (mean, deviation, _), face, surround = (_moments(maps, where[0]) for where in _regions(maps))
    return np.concatenate([mean, deviation, face[0] - surround[0], face[1] - surround[1]])


def _spread(maps: Float32Array, usual: Float32Array, weights: Float32Array) -> Float32Array:
    """What the statistics (4 C,) of `maps` (h, w, C), less the `usual` and weighed, come from: (h, w)."""
    crop, face, surround = (where[0] for where in _regions(maps))
    mean, deviation, shares = _moments(maps, crop)
    (_, in_face, face_shares), (_, around, around_shares) = _moments(maps, face), _moments(maps, surround)
    usual_mean, usual_deviation, usual_step, usual_ratio = np.split(usual, STATISTICS)
    centred, both = maps - mean, (face + surround) / 2
    parts = (
        crop * (centred + mean - usual_mean),
        shares * (deviation - usual_deviation),
        (face - surround) * centred - both * usual_step,
        face_shares * (in_face - deviation - usual_ratio / 2) - around_shares * (around - deviation + usual_ratio / 2),
    )
    weighed = zip(parts, np.split(weights, STATISTICS), strict=True)
    return np.asarray(sum(part @ weight for part, weight in weighed), np.float32)


def _wide(found: Float32Array) -> Float32Array:
    """`found` (h, w) at the places of a map, with the same sum."""
    times = _SIDE // found.shape[0]
    return np.asarray(np.kron(found, np.full((times, times), 1 / times**2)), np.float32)
