"""From check scores and measured quality to one probability, or to a reason why there is none.

The probability is the sigmoid of `bias + reliability * sum of weight * logit(score)` over the checks that could
measure: logistic stacking (Wolpert, 1992) with Platt's calibration (1999), all of it from the model card. Reliability
is 1, or falls with the quality of the picture: a small or blurred face shows less of what the checks look for, so that
their evidence counts less. A check stays at 0 until it is measured to help; at 0 it
is not computed. A check with a bias of its own accuses by itself: its odds are added to those of the others, as where
kinds of fakes each show in one check (noisy-or: Pearl, 1988), and a weighted sum would let the others outvote it. A
face that fails a gate, or that the
network did not see, is not scorable: that is an outcome of its own, never a zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from dfd_core.errors import ModelError

_USUAL_WIDTH_PX, _USUAL_SHARPNESS, _USUAL_QUANTISER = 96.0, 0.2, 26.0
DEFAULT_WEIGHTS = {"appearance": 1.0, "noise": 0.0, "temporal": 0.0, "texture": 0.0}
_OTHERS = ("bias", "reliability", "own_bias")  # in the section of a card, beside the checks
LEADING = "appearance"  # without this check nothing is scorable
STALE = "stale"  # how the reason of a window begins that came too late to be looked at
_LOGIT_CAP = 12.0


@dataclass(frozen=True, slots=True)
class Quality:
    """The picture of a face: medians over its window of what `dfd_core.checks.quality` measures."""

    quantiser: float  # of the codec, on H.264's scale; NaN: unknown
    width_px: float  # of the face box, in the frame
    brightness: float  # mean luma of the face, 0 to 255
    sharpness: float
    upright: float = 1.0  # 1: the face stands upright in the picture; 0: it does not

    @property
    def octaves(self) -> tuple[float, float, float]:
        """Width, sharpness and fineness of the quantiser's step as octaves above the usual; 0 where unknown."""
        fine = (_USUAL_QUANTISER - self.quantiser) / 6
        return (
            math.log2(max(self.width_px, 1.0) / _USUAL_WIDTH_PX),
            math.log2(max(self.sharpness, 1e-3) / _USUAL_SHARPNESS),
            0.0 if math.isnan(fine) else fine,
        )


@dataclass(frozen=True, slots=True)
class Gates:
    """What a face must reach, as medians over its window."""

    min_width_px: float = 48.0  # of the face box, in the frame
    min_brightness: float = 20.0  # mean luma of the face, 0 to 255
    min_sharpness: float = 0.04  # of dfd_core.checks.quality: a Gaussian blur of 2.5 % of the face width

    def reason(self, quality: Quality) -> str | None:
        """Why a face of this quality is not scorable, or None when it is."""
        width_px, brightness, sharpness = quality.width_px, quality.brightness, quality.sharpness
        if quality.upright < 1:
            return "the face is not upright"
        if width_px < self.min_width_px:
            return f"too small: the face is {width_px:.0f} px wide, at least {self.min_width_px:.0f} are needed"
        if brightness < self.min_brightness:
            return f"too dark: brightness {brightness:.0f} of 255, at least {self.min_brightness:.0f} is needed"
        if sharpness < self.min_sharpness:
            return f"too blurred: sharpness {sharpness:.3f}, at least {self.min_sharpness:.3f} is needed"
        return None


@dataclass(frozen=True, slots=True)
class Reliability:
    """How much of the evidence counts in a face of some quality: the sigmoid of `offset` and these times `octaves`."""

    offset: float
    width: float
    sharpness: float
    compression: float = 0.0

    def of(self, quality: Quality) -> float:
        """Between 0 and 1."""
        wide, sharp, fine = quality.octaves
        return _sigmoid(self.offset + self.width * wide + self.sharpness * sharp + self.compression * fine)


@dataclass(frozen=True, slots=True)
class Fusion:
    """The weights of the checks' logits, by the name of the check, the bias, and what quality does to them.

    `own_bias`: of the checks that accuse by themselves.
    """

    weights: Mapping[str, float]
    bias: float = 0.0
    reliability: Reliability | None = None
    own_bias: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_card(cls, section: Mapping[str, object]) -> Fusion:
        """The card's section `fusion`; what it leaves out has its default.

        `{"appearance": 1.0, ..., "bias": 0.0, "reliability": {"offset": 2.0, "width": 0.5, "sharpness": 0.5}}`;
        what the latter mean is said at `Reliability`.
        """
        own = section.get("own_bias", {})
        unknown = {*section, *(own if isinstance(own, Mapping) else ())} - {*DEFAULT_WEIGHTS, *_OTHERS}
        if unknown:
            raise ModelError(f"The model card weighs checks that dfd does not have: {', '.join(sorted(unknown))}.")
        given = dict(section)
        try:
            quality = given.pop("reliability", None)
            own_bias = {name: float(value) for name, value in given.pop("own_bias", {}).items()}  # type: ignore[attr-defined]
            reliability = None if quality is None else Reliability(**{k: float(v) for k, v in quality.items()})  # type: ignore[attr-defined]
            values = {name: float(value) for name, value in given.items()}  # type: ignore[arg-type]
        except (TypeError, ValueError, AttributeError):
            raise ModelError(
                "The section fusion of the model card must hold numbers only, and in reliability, where it is there, "
                "offset, width and sharpness, perhaps compression; in own_bias names of checks."
            ) from None
        bias = values.pop("bias", 0.0)
        return cls({**DEFAULT_WEIGHTS, **values}, bias, reliability, own_bias)

    def probability(self, scores: Mapping[str, float | None], quality: Quality) -> float | None:
        """Fake probability, 0 to 1, from the checks' scores, 0 to 1; None when the network has none."""
        if scores.get(LEADING) is None:
            return None
        known = {name: logit(score) for name, score in scores.items() if score is not None}
        reliability = 1.0 if self.reliability is None else self.reliability.of(quality)
        told = {name: reliability * weight * known.get(name, 0.0) for name, weight in self.weights.items()}
        together = self.bias + sum(value for name, value in told.items() if name not in self.own_bias)
        accusations = [together, *(told[name] + bias for name, bias in self.own_bias.items())]
        worst = max(accusations)
        return _sigmoid(worst + math.log(sum(math.exp(each - worst) for each in accusations)))


def logit(probability: float) -> float:
    """Log odds of `probability`, capped so that no check alone outvotes all others for ever."""
    tiny = math.exp(-_LOGIT_CAP)
    inside = min(max(probability, tiny), 1 - tiny)
    return math.log(inside / (1 - inside))


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-min(max(value, -60.0), 60.0)))
