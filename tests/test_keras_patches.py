"""What dfd uses of Keras's private parts is still there, and still needed: where one fails, Keras has changed."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from tests.keras_process import KerasProcess


def source(name: str) -> str:
    """Of a module of Keras, which is not imported: PyTorch's backend needs PyTorch."""
    keras = importlib.util.find_spec("keras")
    assert keras is not None
    assert keras.origin is not None
    return (Path(keras.origin).parent / "src" / f"{name}.py").read_text()


def test_pytorch_still_copies_activations() -> None:
    found = re.search(r"def _transpose_spatial_inputs\(inputs\):.*?(?=\ndef )", source("backend/torch/nn"), re.DOTALL)
    assert found is not None, "trainer.networks.keras_patches.keep_channels_last replaces nothing"
    assert "contiguous" in found[0], "it copies no more: keep_channels_last can go"


@pytest.mark.slow
def test_private_parts_of_keras_are_as_they_were(in_keras: KerasProcess) -> None:
    done = in_keras("keras_private_parts")
    assert done.ok, done.stderr or done.stdout
