"""AutoKeras's greedy tuner, which here trains only what can be deployed, and measures what it trained."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import autokeras as ak
import keras
import keras_tuner
import numpy as np
from rich.console import Console
from rich.progress import Progress
from sklearn.metrics import roc_auc_score

from dfd_core.errors import DataError
from trainer.search.autokeras_patches import Repaired, early_stopping
from trainer.search.cost import latency_ms, parameters_of
from trainer.search.frames import Frames
from trainer.search.plan import PROJECT, Plan, Trial, read_trials, why_nothing
from trainer.search.space import graph_of

OBJECTIVE = "val_auc"


class Tuner(Repaired, ak.Greedy):
    """A trial above a ceiling of `plan` fails before its training; all others are judged by their best epoch."""

    def __init__(self, plan: Plan, progress: Progress, **kwargs: Any) -> None:
        kwargs.pop("max_model_size", None)
        super().__init__(**kwargs)
        self.plan, self.progress = plan, progress
        self.bear_failures()

    def on_trial_begin(self, trial: Any) -> None:
        """A trial is the same whatever was before it."""
        keras.utils.set_random_seed(1000 * self.seed + int(trial.trial_id))
        self._found = Trial(int(trial.trial_id) + 1)
        self._bar = self.progress.add_task(f"trial {self._found.number} of {self.plan.trials}", total=None)

    def on_trial_end(self, trial: Any) -> None:
        """Keep what became of it."""
        found, said = self._found, (trial.message or "it has no score").strip().splitlines()
        found.choices = dict(trial.hyperparameters.values)
        found.eligible = trial.status == "COMPLETED"
        found.why = "" if found.eligible else found.why or said[-1]
        found.save(Path(self.get_trial_dir(trial.trial_id)))
        self.progress.remove_task(self._bar)
        auc = "" if found.auc is None else f"  validation AUC {found.auc:.4f}"
        self.progress.console.print(f"trial {found.number}: {found.told()}{auc}  {found.why}", highlight=False)
        super().on_trial_end(trial)

    def on_batch_end(self, trial: Any, model: Any, batch: int, logs: Any = None) -> None:
        """Move the bar."""
        self.progress.advance(self._bar)

    def on_epoch_end(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
        """Say how far it is."""
        told = "  ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        self.progress.console.print(f"  epoch {epoch + 1}/{self.plan.epochs}  {told}", highlight=False)

    def on_search_end(self) -> None:
        """DataError where nothing can be kept."""
        trials = read_trials(Path(self.directory))
        if not any(trial.eligible for trial in trials):
            raise DataError(why_nothing(trials, self.plan))

    def _build_and_fit_model(self, trial: Any, *_: Any, **given: Any) -> dict[str, float]:
        model = self._try_build(trial.hyperparameters)
        self._refuse_what_is_too_large(model)
        pipeline, (x, y), validation = self._prepare_model_build(trial.hyperparameters, **given)
        pipeline.save(self._pipeline_path(trial.trial_id))
        self.adapt(model, x)
        self.progress.update(self._bar, total=self.plan.epochs * -(-len(x) // self.plan.batch))
        started = time.monotonic()
        history = model.fit(**{**given, "x": x, "y": y, "validation_data": validation}).history
        found = self._found
        found.seconds, found.history = time.monotonic() - started, {k: list(map(float, v)) for k, v in history.items()}
        if not np.isfinite(history["loss"]).all():
            raise DataError(f"the loss is not finite in epoch {len(history['loss'])}")
        model.load_weights(self._get_checkpoint_fname(trial.trial_id))
        fake = model.predict(validation[0], batch_size=self.plan.batch, verbose=0)[:, -1]
        labels = np.asarray(validation[1]).reshape(len(fake), -1)[:, -1]
        found.accuracy, found.auc = float(((fake >= 0.5) == labels).mean()), float(roc_auc_score(labels, fake))
        return {OBJECTIVE: found.auc, "val_accuracy": found.accuracy}

    def _refuse_what_is_too_large(self, model: keras.Model) -> None:
        """FailedTrialError above a ceiling; what is measured stays known."""
        found, plan = self._found, self.plan
        found.parameters = parameters_of(model)
        if found.parameters > plan.max_parameters:
            found.why = f"more than {plan.max_parameters:,.0f} parameters"
            raise keras_tuner.errors.FailedTrialError(found.why)
        found.latency_ms = latency_ms(model)
        if plan.max_latency_ms is not None and found.latency_ms > plan.max_latency_ms:
            found.why = f"slower than {plan.max_latency_ms:g} ms"
            raise keras_tuner.errors.FailedTrialError(found.why)


def search(
    plan: Plan, run: Path, seed: int, frames: tuple[Frames, Frames], console: Console
) -> tuple[keras.Model, int]:
    """Search in the folder `run`, going on where an earlier search stopped; the best network and its trial's number.

    `frames` are those to train on and those that judge. DataError where no network could be kept.
    """
    training, validation = frames
    keras.utils.set_random_seed(seed)
    image, output, known = graph_of(plan)
    with Progress(console=console) as progress, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")  # it is not wanted again
        found = ak.AutoModel(
            image,
            output,
            project_name=PROJECT,
            directory=run,
            max_trials=plan.trials,
            objective=keras_tuner.Objective(OBJECTIVE, "max"),
            tuner=Tuner,
            seed=seed,
            plan=plan,
            progress=progress,
            **known,
        )
        found.fit(
            training.images,
            training.labels,
            validation_data=(validation.images, validation.labels),
            epochs=plan.epochs,
            batch_size=plan.batch,
            callbacks=[early_stopping(), keras.callbacks.TerminateOnNaN()],
            class_weight=training.class_weights(),
            verbose=0,
        )
        (best,) = found.tuner.oracle.get_best_trials(1)
        return found.export_model(), int(best.trial_id) + 1
