"""Several devices share each step of a run: here two that JAX makes of the CPU."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.keras_process import KerasProcess


@pytest.mark.slow
def test_two_devices_learn_what_one_learns(tmp_path: Path) -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("needs jax: pip install jax")
    flags = "--xla_force_host_platform_device_count=2"
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    for devices in ("1", "2"):
        command = [sys.executable, "-m", "tests.programs.train_on_devices", str(tmp_path), devices]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "1.npz") as one, np.load(tmp_path / "2.npz") as two:
        assert all(np.allclose(one[name], two[name], atol=1e-6) for name in one.files)
    command = [sys.executable, "-m", "tests.programs.train_on_devices", str(tmp_path), "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "JAX finds 2 device(s) here (cpu:0, cpu:1), not 3." in done.stderr


@pytest.mark.slow
def test_devices_that_cannot_share_are_refused(in_keras: KerasProcess) -> None:
    done = in_keras("devices_refused")
    assert done.ok, done.stderr
