"""The two networks of a GAN and their steps; Keras 3 on any backend."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.metrics import roc_auc_score

from dfd_core.errors import DataError
from dfd_core.types import Float32Array
from trainer.fakes.gan import conv, mlp
from trainer.fakes.gan.plan import ADVERSARIAL, SMOOTH, Faces, Plan

CHECKPOINT = "checkpoint.npz"
_JUDGED = 256  # faces of each kind, but no more than four of a window


class Adversaries:
    """Generator, discriminator, and the model of both in which the discriminator stands still.

    Keras 3 looks at `trainable` whenever it steps, so it is set before each step, not once before compiling.
    """

    def __init__(self, plan: Plan) -> None:
        keras.utils.set_random_seed(plan.seed)
        self._plan, self._dense = plan, plan.kind == "mlp"
        shape = (plan.size, plan.size, 3)
        eagerly = plan.steps < 10  # tracing graphs would take longer than the steps
        if self._dense:
            self.generator, self.discriminator = mlp.build_generator(shape=shape), mlp.build_discriminator(shape)
            self.generator.run_eagerly = eagerly
            self._both = mlp.build_gan(self.generator, self.discriminator)
            self._compile(self._both, ["binary_crossentropy"], None)
        else:
            self.generator = conv.build_autoencoder(plan.size, plan.decoder)
            self.discriminator = conv.build_patch_discriminator(plan.size)
            self.generator.run_eagerly = eagerly
            face = keras.Input(shape, name="face")
            made = self.generator(face)
            self._both = keras.Model(face, [self.discriminator(made), made], name="gan")
            self._compile(self._both, ["binary_crossentropy", "mean_absolute_error"], [ADVERSARIAL, 1.0])
        self._compile(self.discriminator, ["binary_crossentropy"], None)
        self.discriminator.trainable = True
        self.discriminator.optimizer.build(self.discriminator.trainable_variables)
        self.discriminator.trainable = False
        self._both.optimizer.build(self._both.trainable_variables)

    def learn(self, real: Float32Array, rng: np.random.Generator) -> tuple[float, float, float]:
        """A step of each on faces float32 (B, S, S, 3) in -1..1: losses of judging, of fooling it, of pixels."""
        given = rng.standard_normal((len(real), mlp.LATENT)).astype(np.float32) if self._dense else real
        made = self.generator.predict_on_batch(given)
        told = np.repeat(np.array([[SMOOTH], [0.0]], np.float32), len(real), axis=0)
        self.discriminator.trainable = True
        of_discriminator = _first(self.discriminator.train_on_batch(np.concatenate([real, made]), told))
        self.discriminator.trainable = False
        wish = np.ones((len(real), 1), np.float32)
        if self._dense:
            return of_discriminator, _first(self._both.train_on_batch(given, wish)), 0.0
        total = _first(self._both.train_on_batch(given, [wish, real]))
        pixels = float(np.abs(made - real).mean())
        return of_discriminator, (total - pixels) / ADVERSARIAL, pixels

    def sample(self, shown: Float32Array) -> Float32Array:
        """What the generator makes of faces (conv), or of the same noise each time (mlp)."""
        rng = np.random.default_rng(self._plan.seed)
        given = rng.standard_normal((len(shown), mlp.LATENT)).astype(np.float32) if self._dense else shown
        return np.asarray(self.generator.predict_on_batch(given), np.float32)

    def judge(self, faces: Faces) -> dict[str, Any]:
        """The discriminator as a detector: area under the curve on held-out faces, where the data set has any."""
        rng = np.random.default_rng(self._plan.seed)
        split = "validation" if len(faces.rows(False, "validation")) else "train"
        rows = faces.rows(False, split)
        real = faces.some(rows, min(_JUDGED, 4 * len(rows)), rng)
        of_real = self.discriminator.predict_on_batch(real)[:, 0]
        report = {"split": split, "auc_generated": _auc(of_real, self._score(self.sample(real)))}
        rows = faces.rows(True, split)
        fake = self._score(faces.some(rows, min(_JUDGED, 4 * len(rows)), rng)) if len(rows) else None
        return {**report, "auc_fakes": None if fake is None else _auc(of_real, fake)}

    def save(self, run: Path, step: int) -> None:
        """Keep everything that going on needs, whole or not at all."""
        part = run / f".{CHECKPOINT}.part"
        with part.open("wb") as handle:
            np.savez(handle, step=step, **{f"v{n}": _array(v) for n, v in enumerate(self._variables())})
        os.replace(part, run / CHECKPOINT)

    def restore(self, run: Path) -> int:
        """Go on from the checkpoint, under whatever backend; the steps that were done."""
        if not (run / CHECKPOINT).is_file():
            return 0
        with np.load(run / CHECKPOINT) as stored:
            variables = self._variables()
            if len(stored.files) != len(variables) + 1:
                raise DataError(f"{run} holds a run of other networks: choose another --out.")
            for n, variable in enumerate(variables):
                if stored[f"v{n}"].shape != tuple(variable.shape):
                    raise DataError(f"{run} holds a run of another size: choose another --out.")
                variable.assign(stored[f"v{n}"])
            return int(stored["step"])

    def export(self, run: Path) -> None:
        """Write generator.keras and discriminator.keras."""
        self.generator.save(run / "generator.keras")
        self.discriminator.save(run / "discriminator.keras")

    def _score(self, pictures: Float32Array) -> Float32Array:
        return np.asarray(self.discriminator.predict_on_batch(pictures)[:, 0], np.float32)

    def _variables(self) -> list[Any]:
        optimizers = (self.discriminator.optimizer, self._both.optimizer)
        return [*self._both.variables, *(v for optimizer in optimizers for v in optimizer.variables)]

    def _compile(self, model: keras.Model, losses: list[str], weights: list[float] | None) -> None:
        adam = keras.optimizers.Adam(self._plan.rate, beta_1=0.5)
        model.compile(adam, losses, loss_weights=weights, run_eagerly=self.generator.run_eagerly)


def _first(value: Any) -> float:
    return float(np.ravel(value)[0])


def _auc(real: Float32Array, fake: Float32Array) -> float:
    """How well "real" is told from "fake" by the probability of being real."""
    labels = np.concatenate([np.ones(len(real)), np.zeros(len(fake))])
    return round(float(roc_auc_score(labels, np.concatenate([real, fake]))), 4)


def _array(variable: Any) -> Any:
    return keras.ops.convert_to_numpy(variable)
