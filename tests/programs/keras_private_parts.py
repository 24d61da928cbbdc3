"""What dfd uses of Keras's private parts is there, and needed."""

import keras
import numpy as np

from trainer.networks.keras_patches import OPTIMIZERS, averages_of, preprocessing_of

# optimizers that PyTorch saved
for name in ("Adam", "AdamW"):
    module = f"keras.src.backend.torch.optimizers.torch_{name.lower()}"
    saved = {"module": module, "class_name": name, "config": {"learning_rate": 0.5}, "registered_name": name}
    optimizer = keras.saving.deserialize_keras_object(saved, custom_objects=OPTIMIZERS)
    assert isinstance(optimizer, getattr(keras.optimizers, name)) and float(optimizer.learning_rate) == 0.5
    try:
        keras.saving.deserialize_keras_object(saved)
        raise SystemExit("Keras finds them by itself: OPTIMIZERS can go")
    except (TypeError, ImportError):
        pass

# the averages are those of the weights, in their order
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(1)])
model.compile(keras.optimizers.AdamW(0.5, use_ema=True, ema_momentum=0.25), "mse", run_eagerly=True)
batch = np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)
model.train_on_batch(*batch)
before = [keras.ops.convert_to_numpy(average) + 0 for _, average in averages_of(model)]
model.train_on_batch(*batch)
pairs = averages_of(model)
assert [id(variable) for variable, _ in pairs] == [id(variable) for variable in model.trainable_variables]
for (variable, average), old in zip(pairs, before, strict=True):
    assert np.allclose(average, 0.25 * old + 0.75 * keras.ops.convert_to_numpy(variable), atol=1e-6)
model.compile(keras.optimizers.AdamW(0.5), "mse", run_eagerly=True)
model.train_on_batch(*batch)
assert averages_of(model) == []

# each network's own preprocessing
white = np.full((1, 1, 1, 3), 255.0, np.float32)
assert np.allclose(preprocessing_of(keras.applications.MobileNetV2)(white.copy()), 1)
assert np.allclose(preprocessing_of(keras.applications.VGG16)(white.copy()), 255 - np.array([103.939, 116.779, 123.68]))
