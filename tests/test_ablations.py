"""The table of ablations comes from one command, and a second run of it trains nothing again."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from dfd_core.models.store import SHIPPED
from tests.fixtures_faces import face_set
from trainer.pool import FacePool

SMALL = ("--steps", "4", "--clips", "2", "--only", "1")
CHANGES = ("size=96", "serving_size=96", "pairs=2", "learners=1", "mixed_precision=false")


@pytest.fixture(scope="module")
def ablations() -> ModuleType:
    """The script, which lies beside the tables that it makes."""
    spec = importlib.util.spec_from_file_location("ablations", Path(__file__).parents[1] / "docs" / "ablations.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_variant_and_the_start_are_measured_on_the_same_clips(
    ablations: ModuleType,
    pool: FacePool,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")  # PyTorch is no requirement of the tests
    data = face_set(tmp_path / "set.h5", pool, ("restored",), validation=4)
    words = ["--data", str(data), "--start", str(SHIPPED), "--out", str(tmp_path / "out"), *SMALL]
    words += [word for change in CHANGES for word in ("--change", change)]
    ablations.main(words)
    table = capfd.readouterr().out
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == [
        *("| trained on", "| none of it: the start", "| self-blended fakes alone"),
        *("| check", "| appearance", "| noise", "| temporal"),
    ]
    assert rows[0] == "| trained on | restored | self_blended | swapped | all |"
    trained = (tmp_path / "out" / "self-blended-fakes-alone" / "run" / "best.keras").stat().st_mtime_ns
    ablations.main(words)
    assert capfd.readouterr().out == table
    assert (tmp_path / "out" / "self-blended-fakes-alone" / "run" / "best.keras").stat().st_mtime_ns == trained
