"""What AutoKeras 3.0.0 and KerasTuner 1.4 need under Keras 3.15; every workaround stands here.

1. KerasTuner imports `tensorboard` in each trial: without it all trials fail, in silence. `check_packages`.
2. `ClassificationHead` hands `Dense` a NumPy integer, which Keras refuses. `Repaired._prepare_model_build`.
3. Only layers right behind the input adapt to the data, and to all of it at once, as float32. `Repaired.adapt`.
4. Without early stopping among the callbacks AutoKeras adds its own, and then trains the best network a second time:
   what comes out is not what was measured. `early_stopping`.
5. It validates on the last slice of the data, unshuffled: `dfd search` always hands it explicit validation data.
6. `max_model_size` does not count frozen weights, a network above it ends the whole search where it is the default
   one, and so do three failures in a row. `trainer.search.tuner` counts for itself; `Repaired.bear_failures`.
7. A finished search refuses to go on with more trials. `Repaired.set_state`.
8. It draws from NumPy's global generator: a search that goes on would draw otherwise. `Repaired.pre_create_trial`.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any

from dfd_core.errors import DataError

_ADAPTED = 1024  # pictures


def check_packages() -> None:
    """DataError names what is not installed, or set otherwise."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise DataError("dfd search measures with TensorFlow's converter: run it with KERAS_BACKEND=tensorflow.")
    for package in ("tensorflow", "autokeras", "tensorboard"):
        if importlib.util.find_spec(package) is None:
            raise DataError(f"dfd search needs the package {package}: run 'pip install {package}'.")


def early_stopping() -> Any:
    """The callback that AutoKeras would have added."""
    import keras

    return keras.callbacks.EarlyStopping(patience=10, min_delta=1e-4)


class Repaired:
    """To be mixed into a tuner of AutoKeras, in front of it."""

    oracle: Any
    hypermodel: Any
    seed: int

    def bear_failures(self) -> None:
        """Let trials fail without ending the search."""
        self.oracle.max_consecutive_failed_trials = self.oracle.max_trials + 1

    def pre_create_trial(self) -> None:
        """The same trial follows whether or not the search was interrupted before."""
        import keras

        keras.utils.set_random_seed(1000 * self.seed + len(self.oracle.trials))

    def set_state(self, state: dict[str, Any]) -> None:
        """As it was stored, but never finished: that is a question of the number of trials."""
        super().set_state({**state, "finished": False})  # type: ignore[misc]

    def _prepare_model_build(self, hp: Any, **data: Any) -> Any:
        made = super()._prepare_model_build(hp, **data)  # type: ignore[misc]
        for head in (node.in_blocks[0] for node in self.hypermodel.outputs):
            head.shape = tuple(int(side) for side in head.shape)
        return made

    @staticmethod
    def adapt(model: Any, dataset: Any) -> Any:
        """Show every normalisation, wherever it stands, some of the pictures `dataset` uint8 (N, S, S, 3)."""
        import keras

        for layer in model.layers:
            if isinstance(layer, keras.layers.Normalization):
                before = keras.Model(model.input, layer.input)
                layer.adapt(before.predict(dataset[:_ADAPTED], verbose=0))
        return model
