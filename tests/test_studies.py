"""The programs that measured what the documents tell give the tables that stand there, here of tiny inputs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from dfd_core.models.store import SHIPPED
from tests.fixtures_faces import face_set
from trainer.data.face_pool import FacePool
from trainer.fakes.clips import AUTHENTIC, Clip, make_clip
from trainer.fakes.kinds import MANIPULATIONS
from trainer.studies import ablations, real_video

SMALL = ("--steps", "4", "--clips", "2", "--only", "1", "--also", "lip_synced")
STUDIO = Clip(seconds=2.2, sides=(260, 320), crf=(17, 20), noise=(0.0, 1.0), twice_share=0.0)
CHANGES = ("size=96", "serving_size=96", "pairs=2", "learners=1", "mixed_precision=false")


@pytest.mark.slow
def test_a_variant_is_measured_beside_its_start_and_never_trained_twice(
    pool: FacePool, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
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
    assert rows[0] == "| trained on | lip_synced | restored | self_blended | swapped | all |"
    trained = (tmp_path / "out" / "self-blended-fakes-alone" / "run" / "best.keras").stat().st_mtime_ns
    ablations.main(words)
    assert capfd.readouterr().out == table
    assert (tmp_path / "out" / "self-blended-fakes-alone" / "run" / "best.keras").stat().st_mtime_ns == trained


@pytest.mark.slow
def test_real_video_is_told_from_itself_with_blended_faces(
    pool: FacePool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "videos").mkdir()
    for n in range(3):
        make_clip(pool, AUTHENTIC, n, tmp_path / "videos" / f"{n}.mp4", np.random.default_rng(n), plan=STUDIO)
    real_video.main(["--videos", str(tmp_path / "videos"), "--draws", "3", "--crf", "20"])
    lines = capfd.readouterr().out.splitlines()
    assert "3 videos, 3 manipulations" in lines[0]
    found = re.fullmatch("all: " + ", ".join(rf"{kind} ([\d.]+)" for kind in MANIPULATIONS), lines[2])
    assert found is not None
    assert float(found[1]) > 0.7
    with pytest.raises(SystemExit, match="at least two videos"):
        real_video.main(["--videos", str(tmp_path / "out")])
