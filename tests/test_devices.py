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

_TRAIN = """
import pathlib, sys
import numpy as np
from tests.fixtures_faces import noise_pool
from trainer.training.loop import Machine, fit
from trainer.training.recipes import recipe_named

folder, devices = pathlib.Path(sys.argv[1]), int(sys.argv[2])
recipe = recipe_named("smoke").but(fakes={"real": 1.0}, mixed_precision=False)
machine = Machine(feeders=1, devices=devices)
network = fit(noise_pool(folder / "noise.h5"), recipe, folder / f"run-{devices}", 1, print, machine=machine)
np.savez(folder / f"{devices}.npz", *network.get_weights())
"""


@pytest.mark.slow
def test_two_devices_learn_what_one_learns(tmp_path: Path) -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("needs jax: pip install jax")
    flags = "--xla_force_host_platform_device_count=2"
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    for devices in ("1", "2"):
        command = [sys.executable, "-c", _TRAIN, str(tmp_path), devices]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "1.npz") as one, np.load(tmp_path / "2.npz") as two:
        assert all(np.allclose(one[name], two[name], atol=1e-6) for name in one.files)
    command = [sys.executable, "-c", _TRAIN, str(tmp_path), "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "JAX finds 2 device(s) here (cpu:0, cpu:1), not 3." in done.stderr


_REFUSED = """
from dfd_core.errors import DataError
from trainer.training.devices import use_devices
use_devices(1, 7)
for count, why in ((0, "must be at least 1"), (2, "pip install jax, and run with KERAS_BACKEND=jax")):
    try:
        use_devices(count, 8)
        raise SystemExit(f"{count} went by")
    except DataError as error:
        assert why in str(error), error
"""


@pytest.mark.slow
def test_devices_that_cannot_share_are_refused(in_keras: KerasProcess) -> None:
    done = in_keras(_REFUSED)
    assert done.ok, done.stderr
