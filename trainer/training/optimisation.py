"""How a detector is trained, whatever it is and whatever it sees."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Optimisation:
    """Length, optimizer and its rate, and what is averaged, frozen and stopped."""

    epochs: int = 10
    steps: int = 166  # an epoch
    optimizer: str = "adamw"  # or adam
    rate: float = 6e-4  # at its peak
    one_cycle: bool = True  # warm-up and cosine; false keeps the rate as it is
    weight_decay: float = 1e-4  # of adamw
    sharpness: float = 0.0  # radius of adaptive sharpness-aware minimisation, as 0.05; 0 is without
    frozen: tuple[tuple[int, int], ...] = ((0, 0),)  # from epoch .. on, the first .. stages keep their weights
    label_smoothing: float = 0.05
    teacher_share: float = 0.5  # of what is learned that a teacher says, where there is one; the rest are labels
    ema: float = 0.995  # momentum of the averaged weights, which are what is kept; 0 keeps the last
    patience: int = 0  # epochs without a better validation AUC, after which training ends; 0 never ends it early
    mixed_precision: bool = True  # bfloat16 with float32 weights

    @property
    def all_steps(self) -> int:
        """Of all epochs."""
        return self.epochs * self.steps

    def frozen_stages(self, epoch: int) -> int:
        """How many stages stand still in `epoch`, which counts from 0."""
        return [stages for start, stages in self.frozen if start <= epoch][-1]
