"""From check scores and measured quality to one probability, or to a reason why there is none.

The probability is the sigmoid of `bias + sum of weight * logit(score)` over the checks that could measure: logistic
stacking, with weights from the model card. Noise and temporal stay at 0 until they are measured to help. A face that
fails a gate, or that the network did not see, is not scorable: that is an outcome of its own, never a zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dfd_core.errors import ModelError

DEFAULT_WEIGHTS = {"appearance": 1.0, "noise": 0.0, "temporal": 0.0}
_LEADING = "appearance"  # without this check nothing is scorable
_LOGIT_CAP = 12.0


@dataclass(frozen=True, slots=True)
class Gates:
    """What a face must reach, as medians over its window."""

    min_width_px: float = 48.0  # of the face box, in the frame
    min_brightness: float = 20.0  # mean luma of the face, 0 to 255
    min_sharpness: float = 0.04  # of dfd_core.checks.quality: a Gaussian blur of 2.5 % of the face width

    def reason(self, width_px: float, brightness: float, sharpness: float) -> str | None:
        """Why a face of this quality is not scorable, or None when it is."""
        if width_px < self.min_width_px:
            return f"too small: the face is {width_px:.0f} px wide, at least {self.min_width_px:.0f} are needed"
        if brightness < self.min_brightness:
            return f"too dark: brightness {brightness:.0f} of 255, at least {self.min_brightness:.0f} is needed"
        if sharpness < self.min_sharpness:
            return f"too blurred: sharpness {sharpness:.3f}, at least {self.min_sharpness:.3f} is needed"
        return None


@dataclass(frozen=True, slots=True)
class Fusion:
    """The weights of the checks' logits, by the name of the check, and the bias."""

    weights: Mapping[str, float]
    bias: float = 0.0

    @classmethod
    def from_card(cls, section: Mapping[str, object]) -> Fusion:
        """The card's section `fusion`, `{"appearance": 1.0, ..., "bias": 0.0}`; what it leaves out has its default."""
        unknown = set(section) - {*DEFAULT_WEIGHTS, "bias"}
        if unknown:
            raise ModelError(f"The model card weighs checks that dfd does not have: {', '.join(sorted(unknown))}.")
        try:
            values = {name: float(value) for name, value in section.items()}  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise ModelError("The section fusion of the model card must hold numbers only.") from None
        bias = values.pop("bias", 0.0)
        return cls({**DEFAULT_WEIGHTS, **values}, bias)

    def probability(self, scores: Mapping[str, float | None]) -> float | None:
        """Fake probability, 0 to 1, from the checks' scores, 0 to 1; None when the network has none."""
        if scores.get(_LEADING) is None:
            return None
        total = self.bias
        for name, weight in self.weights.items():
            score = scores.get(name)
            if weight and score is not None:
                total += weight * logit(score)
        return 1 / (1 + math.exp(-total))


def logit(probability: float) -> float:
    """Log odds of `probability`, capped so that no check alone outvotes all others for ever."""
    tiny = math.exp(-_LOGIT_CAP)
    inside = min(max(probability, tiny), 1 - tiny)
    return math.log(inside / (1 - inside))
