"""Samples that are packed here, learned from elsewhere, and adopted here again."""

from __future__ import annotations

import ast
import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures_faces import face_set
from tests.keras_process import KerasProcess
from trainer.data.face_pool import FacePool
from trainer.training import packed_run

SMALL = ("size=96", "pairs=2", "learners=1", "steps=2", "mixed_precision=false")


def test_the_part_that_runs_elsewhere_needs_keras_pillow_and_numpy_alone() -> None:
    tree = ast.parse(Path(packed_run.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} - sys.stdlib_module_names == {"keras", "numpy", "PIL"}


@pytest.mark.slow
def test_five_steps_there_and_back(pool: FacePool, tmp_path: Path, in_keras: KerasProcess) -> None:
    data, packs, there = (
        face_set(tmp_path / "set.h5", pool, ("swap",), validation=2),
        tmp_path / "packs",
        tmp_path / "there",
    )
    changes = [word for change in SMALL for word in ("--change", change)]
    done = in_keras("packs", "pack", "smoke", "--data", data, "--out", packs, "--steps", 6, "--mib", 0.1, *changes)
    assert done.ok, done.stderr
    files = sorted(packs.glob("pack-*.npz"))
    assert len(files) > 1
    assert all(file.stat().st_size <= 0.1 * 2**20 for file in files)
    images, labels = (np.concatenate(side) for side in zip(*map(packed_run.read_pack, files), strict=True))
    assert images.shape == (24, 96, 96, 3)
    assert labels.tolist() == [0, 1] * 12

    there.mkdir()
    shutil.copy(packed_run.__file__, there / "run.py")
    command = [sys.executable, there / "run.py", packs, "--out", there / "out", "--steps", "5"]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    ran = subprocess.run(command, cwd=there, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    with (there / "out" / "history.csv").open(newline="") as handle:
        (row,) = csv.DictReader(handle)
    assert row["step"] == "5"
    assert 0 <= float(row["validation_auc"]) <= 1

    done = in_keras("packs", "adopt", packs, there / "out", "--out", tmp_path / "mine")
    assert done.ok, done.stderr
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {
        "best.keras",
        "run.json",
        "history.csv",
        "curves.png",
    }
    moved = in_keras("moved_weights", packs / "start.keras", tmp_path / "mine" / "best.keras")
    assert moved.ok, moved.stderr
