"""The rate of training over its steps."""

from __future__ import annotations

import keras
import numpy as np


@keras.saving.register_keras_serializable("dfd")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up over the first tenth of `steps` to `peak`, then a cosine down to nothing (Smith, 2018)."""

    def __init__(self, peak: float, steps: int) -> None:
        self.peak, self.steps = peak, steps

    def __call__(self, step: object) -> object:
        """The rate at `step`."""
        ops = keras.ops
        done = ops.cast(step, "float32") / float(self.steps)
        warm = done / 0.1
        cool = 0.5 * (1 + ops.cos(np.pi * ops.clip((done - 0.1) / 0.9, 0.0, 1.0)))
        return self.peak * ops.maximum(ops.minimum(warm, 1.0) * ops.where(done < 0.1, 1.0, cool), 1e-3)

    def get_config(self) -> dict[str, object]:
        """What rebuilds it."""
        return {"peak": self.peak, "steps": self.steps}
