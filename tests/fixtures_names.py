"""Names of files that nobody expects, and a content to put under them."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import HealthCheck, settings

from tests.clips import write_clip

LATIN = os.fsdecode(b"caf\xe9.mp4")


SLOW = settings(max_examples=12, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("content") / "clip.mp4", frames=4, size=(64, 48)).read_bytes()


@pytest.fixture(scope="module")
def model(tiny_model):
    return ["--set", f"model.path={tiny_model}", "--set", "worker.threads=1"]


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def placed(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
