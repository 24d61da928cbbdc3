"""GANs learn and go on where they stopped: FOLDER"""

import pathlib
import sys

import keras
import numpy as np

from dfd_core.cli.main import main
from tests.test_dataset import small_set
from trainer.fakes.gan.conv import PixelShuffle, build_autoencoder

folder = pathlib.Path(sys.argv[1])
data = str(small_set(folder / "set.h5"))


def gan(name, *more):
    fixed = ["--data", data, "--out", str(folder / name), "--batch", "2", "--every", "1", "--size", "64"]
    return main(["gan", *fixed, *more])


def weights(name):
    with np.load(folder / name / "checkpoint.npz") as stored:
        return {key: stored[key] for key in stored.files}


assert gan("mlp", "--kind", "mlp", "--steps", "1") == 0
for decoder in ("transposed", "nearest", "shuffle"):
    assert build_autoencoder(128, decoder).output_shape == (None, 128, 128, 3)
shuffled = PixelShuffle(2)(np.arange(8, dtype=np.float32).reshape(1, 1, 1, 8))
assert keras.ops.convert_to_numpy(shuffled).tolist() == [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]]
assert gan("shuffle", "--decoder", "shuffle", "--steps", "1") == 0
one = weights("shuffle")
assert gan("shuffle", "--decoder", "shuffle", "--steps", "2") == 0  # goes on
two = weights("shuffle")
assert (one["step"], two["step"]) == (1, 2)
changed = [key for key in one if key != "step" and not np.array_equal(one[key], two[key])]
assert len(changed) > 0.9 * len(one), (len(changed), len(one))  # both networks learn, and their optimizers
assert (folder / "shuffle" / "samples" / "000002.png").stat().st_size > 1000
assert len((folder / "shuffle" / "losses.csv").read_text().splitlines()) == 3
assert "auc_generated" in (folder / "shuffle" / "report.json").read_text()
assert keras.saving.load_model(folder / "shuffle" / "generator.keras").output_shape == (None, 64, 64, 3)
assert gan("mlp", "--steps", "2") == 1  # not the networks that lie there
