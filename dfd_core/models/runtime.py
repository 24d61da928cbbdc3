"""One seam between LiteRT, OpenVINO, ONNX Runtime and Keras: images in, outputs by name out, equal within 1e-3."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dfd_core.errors import ModelError
from dfd_core.models.network import BATCH, FEW, Runtime
from dfd_core.models.store import (
    KERAS_FILE,
    LITERT_FILE,
    ONNX_FILE,
    TEXTURE_KERAS_FILE,
    TEXTURE_LITERT_FILE,
    TEXTURE_ONNX_FILE,
    ModelCard,
    ModelInput,
    model_folder,
    model_name,
    read_card,
    verified_file,
)
from dfd_core.settings import ModelSettings

_GPU_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A network that is ready to run, and its card."""

    card: ModelCard
    runtime: Runtime
    texture: Runtime | None = None  # the network of the check texture, where the model has one

    @property
    def name(self) -> str:
        """Name and version, as scores and metrics carry it."""
        return model_name(self.card)


def load_model(settings: ModelSettings, threads: int = 0) -> LoadedModel:
    """The model that `settings` name, verified and warm; `threads` of the CPU runtime, 0: one a core."""
    folder = model_folder(settings.path)
    card = read_card(folder)
    kind = choose_runtime(settings.runtime, card)
    has_texture = TEXTURE_LITERT_FILE in card.files
    texture = open_runtime(folder, kind, threads, texture=True) if has_texture else None
    return LoadedModel(card, open_runtime(folder, kind, threads), texture)


FILES = {  # what each runtime reads: the network, and that of its texture
    "litert": (LITERT_FILE, TEXTURE_LITERT_FILE),
    "openvino": (LITERT_FILE, TEXTURE_LITERT_FILE),
    "onnx": (ONNX_FILE, TEXTURE_ONNX_FILE),
    "keras": (KERAS_FILE, TEXTURE_KERAS_FILE),
}
PACKAGES = {  # what each runtime needs, as distributions are called
    "litert": ("ai-edge-litert",),
    "openvino": ("openvino",),
    "onnx": ("onnxruntime",),
    "keras": ("keras", "tensorflow"),
}


def open_runtime(folder: Path, kind: str, threads: int = 0, *, texture: bool = False) -> Runtime:
    """The network in `folder`, or that of its texture, on the runtime `kind` (litert, openvino, onnx or keras).

    ModelError where that cannot be.
    """
    card = read_card(folder)
    if kind == "onnx" and ONNX_FILE not in card.files:
        raise ModelError(f"The model in {folder} has no {ONNX_FILE}: add it by `dfd export {folder} --format onnx`.")
    file = verified_file(folder, card, FILES[kind][texture])
    try:
        if kind == "keras":
            from dfd_core.models.keras_runtime import KerasRuntime

            return KerasRuntime(file, card.input)
        return _cpu_runtime(kind)(file, card.input, threads, FEW if texture else BATCH)
    except ImportError as error:
        raise ModelError(
            f"The runtime '{kind}' needs the package {error.name}: install it or set model.runtime."
        ) from None


def _cpu_runtime(kind: str) -> Callable[[Path, ModelInput, int, int], Runtime]:
    if kind == "openvino":
        from dfd_core.models.openvino_runtime import OpenVinoRuntime

        return OpenVinoRuntime
    if kind == "onnx":
        from dfd_core.models.onnx_runtime import OnnxRuntime

        return OnnxRuntime
    from dfd_core.models.litert import LiteRuntime

    return LiteRuntime


def choose_runtime(wanted: str, card: ModelCard) -> str:
    """What scores under the setting `wanted`; auto takes Keras where a GPU, Keras and its file are present."""
    if wanted != "auto":
        return wanted
    has_keras = importlib.util.find_spec("keras") is not None and importlib.util.find_spec("tensorflow") is not None
    if KERAS_FILE in card.files and (LITERT_FILE not in card.files or (has_keras and _GPU_DRIVER.exists())):
        return "keras"
    return "litert"
