"""A stand-in for the shipped model, for tests that need a network but not its verdicts: see make_tiny_model.py."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_model() -> Path:
    """Folder of a random network with 64 px input, as model.tflite, model.keras and card.json; do not change it."""
    return Path(__file__).parent / "data" / "tiny_model"
