"""Fakes of a generator are what it makes of the real crops: SET RUN OUT"""

import sys
from pathlib import Path

import keras
import numpy as np

from dfd_core.cli.main import main
from trainer.data.dataset import Dataset
from trainer.fakes.gan.conv import build_autoencoder

source, run, out = map(Path, sys.argv[1:])
keras.utils.set_random_seed(1)
build_autoencoder(64, "shuffle").save(run / "generator.keras")
assert main(["data", "fakes", str(source), "--generator", str(run), "--out", str(out)]) == 0
old, new = Dataset(source), Dataset(out)
model = keras.saving.load_model(run / "generator.keras")
assert new.header.crop_px == 64 and (new.pixels == 64).all()
assert new.labels.tolist() == [0, 1] * 6
assert {file.method for file in new.files} == {"", "generated-shuffle"}
for n, row in enumerate(np.flatnonzero(old.labels == 0)):
    was, real, fake = old.window(row), new.window(2 * n), new.window(2 * n + 1)
    scale = 64 / was.crops.shape[1]
    assert was.side == real.side == fake.side
    assert np.allclose(real.boxes, was.boxes * scale) and np.array_equal(real.boxes, fake.boxes)
    assert np.allclose(real.mesh, was.mesh.astype(np.float32) * scale, atol=0.1)
    assert np.abs(real.crops.mean((1, 2)) - was.crops.mean((1, 2))).max() < 2
    made = np.asarray(model.predict_on_batch(real.crops.astype(np.float32) / 127.5 - 1))
    assert np.abs((made + 1) * 127.5 - fake.crops).max() <= 1.5
(run / "generator.keras").write_bytes(b"no model")
assert main(["data", "fakes", str(source), "--generator", str(run), "--out", str(out)]) == 1
