"""Any network of keras.applications by its name there, such as ResNet50V2; Keras fetches its ImageNet weights."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from dfd_core.errors import DataError
from dfd_core.models.fuse import widened
from trainer.networks.keras_patches import preprocessing_of


class Application:
    """A network of keras.applications without its top."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._build = getattr(keras.applications, name)

    @staticmethod
    def names() -> list[str]:
        """What keras.applications offers."""
        return [name for name, thing in vars(keras.applications).items() if inspect.isfunction(thing)]

    def normalise(self, image: Any) -> Any:
        """As the network's own `preprocess_input` does."""
        return preprocessing_of(self._build)(image)

    def features(self, x: Any) -> Any:
        """Its last map of features."""
        return self._build(include_top=False, weights=None, input_tensor=x).output

    def load(self, model: keras.Model) -> None:
        """ImageNet weights; DataError where Keras can neither find nor fetch them."""
        try:
            reference = self._build(include_top=False, weights="imagenet", input_shape=(*model.input_shape[1:3], 3))
        except Exception as error:  # noqa: BLE001  urllib, ssl and Keras raise what they like
            raise DataError(
                f"The ImageNet weights of {self.name} cannot be fetched ({error}): "
                "connect to the network, or take a backbone whose weights a package holds, such as efficientnet-lite0."
            ) from None
        own = {layer.name: layer for layer in model.layers}
        for layer in reference.layers:
            if layer.weights:
                own[layer.name].set_weights(self._fitted(layer, own[layer.name]))

    def _fitted(self, layer: Any, own: Any) -> list[Any]:
        """The weights of `layer`; of the first convolution, widened to the channels that the detector adds."""
        weights: list[Any] = layer.get_weights()
        if weights[0].shape != tuple(own.weights[0].shape):
            if weights[0].ndim != 4:
                raise DataError(
                    f"{self.name} normalises RGB inside and takes no derived channels: set modalities to 1."
                )
            weights[0] = widened(weights[0], int(own.weights[0].shape[2]) - weights[0].shape[2])
        return weights
