"""One learner: a detector with its optimizer, and a step of training on a batch; Keras 3 on any backend."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dfd_core.errors import DataError
from dfd_core.models.fuse import widened
from dfd_core.types import Float32Array, UInt8Array
from trainer.networks.backbones import DEFAULT, build_detector, freeze
from trainer.training.recipes import Recipe
from trainer.training.sharpness import sharpness_aware

CHECKPOINT = "checkpoint.keras"
CPU_INFO = Path("/proc/cpuinfo")
HARDWARE_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")  # what CPUs that have it call it; the last is ARM's
KEPT_MEMORY = {-4: 0, -1: 2**31 - 1, -2: 2**28}  # mallopt(3): M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD, in bytes


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


def use_fast_arithmetic(threads: int, mixed_precision: bool = True) -> None:
    """Bfloat16 with float32 weights where the processor has it; under PyTorch, denormals as zeros and memory kept.

    Together a factor of four on a CPU with AMX; `benchmarks/learner.py` measures it on any other.
    """
    torch_here = keras.backend.backend() == "torch"
    mixed = mixed_precision and not _emulates_bfloat16()
    keras.mixed_precision.set_global_policy("mixed_bfloat16" if mixed else "float32")
    if torch_here:
        import torch

        torch.set_flush_denormal(True)
        torch.set_num_threads(threads)
        _keep_channels_last()
        _keep_memory()


def _emulates_bfloat16() -> bool:
    """Whether training is on a CPU that says it has no bfloat16: emulated, it is slower than float32."""
    told = CPU_INFO.read_text().split() if CPU_INFO.is_file() else []  # systems without that file do not tell
    return bool(told) and not _has_accelerator() and not set(told) & set(HARDWARE_BFLOAT16)


def _has_accelerator() -> bool:
    if keras.backend.backend() == "torch":  # Keras lists no devices of it
        import torch

        return torch.cuda.is_available()
    return any(not name.startswith("cpu") for name in keras.distribution.list_devices())


def _keep_memory() -> None:
    """Let glibc keep freed memory for the next step: without, fresh pages cost a third of the pictures a second."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    for option, value in KEPT_MEMORY.items() if mallopt else ():
        mallopt(option, value)


def _keep_channels_last() -> None:
    """Let Keras hand PyTorch permuted views: it copies every activation to channels-first and back, 1.2 times slower.

    Keras 3.15 makes them contiguous for other devices' sake; where that function is gone, nothing changes.
    """
    from keras.src.backend.torch import nn

    if hasattr(nn, "_transpose_spatial_inputs"):
        nn._transpose_spatial_inputs = lambda inputs: inputs.movedim(-1, 1)


def start(recipe: Recipe, run: Path, seed: int) -> keras.Model:
    """A compiled detector: that of the run's checkpoint, or a new one, the same for every call.

    DataError where the checkpoint is damaged, or the weights that the recipe starts from cannot be had.
    """
    keras.utils.set_random_seed(seed)
    if (run / CHECKPOINT).is_file():
        model = load_network(run / CHECKPOINT)
        model.optimizer.learning_rate = _rate(recipe)  # of the recipe as it is now, if its length was changed
        return model
    model = build_detector(recipe.dropout, recipe.size, recipe.pretrained, recipe.modalities, recipe.backbone)
    freeze(model, recipe.frozen_stages(0))
    _compile(model, recipe)
    return model


def load_network(path: Path) -> keras.Model:
    """A network that a run saved, under whatever backend; DataError where the file is damaged."""
    own = {name: getattr(keras.optimizers, name) for name in ("Adam", "AdamW")}  # saved is PyTorch's variant under it
    try:
        return keras.models.load_model(path, custom_objects=own)
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = str(error).splitlines()[0]
        raise DataError(f"{path} cannot be read ({why}): delete it to start anew, or take another --out.") from None


def begin_with(model: keras.Model, weights: Path, recipe: Recipe) -> None:
    """Give a fresh model, and its moving averages, the weights of the network in the file `weights` (.keras).

    Channels that the recipe derives and that network did not see begin at zero. DataError where they do not fit, and
    where such channels would stay at zero because the recipe never trains the first stage.
    """
    shapes, given = [tuple(w.shape) for w in model.weights], load_network(weights).get_weights()
    if given[0].shape[:2] == shapes[0][:2] and given[0].ndim == len(shapes[0]) == 4:
        added = max(0, shapes[0][2] - given[0].shape[2])
        if added and all(stages for _, stages in recipe.frozen):
            raise DataError(
                "New channels begin at zero, and would stay there while the first stage keeps its weights: train it "
                "(--change frozen=[[0,0]])."
            )
        given[0] = widened(given[0], added)
    if [w.shape for w in given] != shapes:
        raise DataError(f"The network in {weights} is not that of the recipe: start from one of the same backbone.")
    model.set_weights(given)
    for variable, average in _averages(model):
        average.assign(variable)


def thaw(model: keras.Model, recipe: Recipe, epoch: int) -> None:
    """Freeze what the recipe freezes in `epoch`; where that changes, the optimizer's moments start anew."""
    if epoch == 0 or recipe.frozen_stages(epoch) == recipe.frozen_stages(epoch - 1):
        return
    step, averages = int(model.optimizer.iterations), averaged_weights(model).get_weights()
    freeze(model, recipe.frozen_stages(epoch))
    _compile(model, recipe)
    model.optimizer.iterations.assign(step)
    kept = dict(zip((id(v) for v in model.weights), averages, strict=True))
    for variable, average in _averages(model):
        average.assign(kept[id(variable)])


def learn(model: keras.Model, images: UInt8Array, labels: Float32Array, recipe: Recipe) -> float:
    """One step on images uint8 (B, S, S, 3) and labels float32 (B, 1); its loss, DataError when it is not finite."""
    smooth = labels * (1 - 2 * recipe.label_smoothing) + recipe.label_smoothing
    given = images.astype(np.float32)
    with sharpness_aware(model, recipe.sharpness, given, smooth):
        loss = float(model.train_on_batch(given, smooth))
    if not np.isfinite(loss):
        step = int(model.optimizer.iterations)
        raise DataError(
            f"The loss is not finite at step {step}: lower the recipe's rate; the last checkpoint holds good weights."
        )
    return loss


def averaged_weights(model: keras.Model) -> keras.Model:
    """A copy of the trained model, without optimizer, that holds the exponential moving average of the weights."""
    copy = keras.models.clone_model(model)
    copy.run_eagerly = True  # it answers for a few batches: tracing a graph would take longer
    copy.set_weights(model.get_weights())
    own = dict(zip((id(v) for v in model.weights), copy.weights, strict=True))
    for variable, average in _averages(model):
        own[id(variable)].assign(average)
    return copy


def as_served(trained: keras.Model, recipe: Mapping[str, Any]) -> keras.Model:
    """The weights of `trained` in a network with the input size at which it serves; `recipe` as in run.json."""
    model = build_detector(
        size=recipe.get("serving_size") or int(trained.input_shape[1]),
        pretrained=False,
        num_modalities=recipe.get("modalities", 1),
        backbone=recipe.get("backbone", DEFAULT),
    )
    model.set_weights(trained.get_weights())
    return model


def moving_state(model: keras.Model) -> list[Any]:
    """Every variable that a step changes by arithmetic: trained weights and the optimizer's moments and averages."""
    return model.trainable_variables + [v for v in model.optimizer.variables if len(v.shape)]


def _averages(model: keras.Model) -> list[tuple[Any, Any]]:
    """Trained variables with their moving averages; none where the optimizer keeps none."""
    averages = getattr(model.optimizer, "_model_variables_moving_average", [])
    return list(zip(model.trainable_variables, averages, strict=True)) if averages else []


def _rate(recipe: Recipe) -> Any:
    return OneCycle(recipe.rate, recipe.epochs * recipe.steps) if recipe.one_cycle else recipe.rate


def _compile(model: keras.Model, recipe: Recipe) -> None:
    kinds = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
    decay = {"weight_decay": recipe.weight_decay} if recipe.optimizer == "adamw" else {}
    average = {"use_ema": True, "ema_momentum": recipe.ema} if recipe.ema else {}
    optimizer = kinds[recipe.optimizer](_rate(recipe), clipnorm=1.0, **decay, **average)
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=keras.backend.backend() == "jax",  # XLA's depthwise convolutions are slow on a CPU
        run_eagerly=recipe.epochs * recipe.steps < 10,  # tracing a graph would take longer than the steps
    )
    optimizer.build(model.trainable_variables)
