"""`dfd scan` and `dfd evaluate` on files made here, good and bad."""

from __future__ import annotations

import csv
import json
import re
import warnings
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from dfd_core.cli.main import main
from dfd_core.errors import DataError
from dfd_core.media import read_frames
from dfd_core.media.files import find_files
from dfd_core.settings import VideoSettings
from dfd_core.types import UInt8Array
from tests.clips import picture_bytes, write_clip
from trainer.measuring.evaluate import read_manifest
from trainer.measuring.figures import bootstrap_auc, calibration_error, equal_error_rate, report_of
from trainer.measuring.reencode import Reencoding, reencode


def portrait() -> UInt8Array:
    """The public-domain portrait of Grace Hopper that matplotlib ships."""
    cbook = pytest.importorskip("matplotlib.cbook", reason="needs matplotlib's sample portrait")
    path = cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    return np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])


def write_video(path: Path, frames: list[UInt8Array], fps: int = 8) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video and a picture of a face, a video without one, and garbage."""
    folder = tmp_path_factory.mktemp("videos")
    face = portrait()
    write_video(folder / "face.mp4", [np.roll(face, n % 3, axis=1) for n in range(20)])
    write_video(folder / "wall.mp4", [np.full((120, 160, 3), 90 + n, np.uint8) for n in range(8)])
    (folder / "deeper").mkdir()
    cv2.imwrite(str(folder / "deeper" / "still.png"), cv2.cvtColor(face, cv2.COLOR_RGB2BGR))
    (folder / "garbage.mp4").write_bytes(bytes(range(256)) * 20)
    (folder / "notes.txt").write_text("not a video")
    return folder


def scan(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    code = main(["scan", *map(str, arguments)])
    return code, capsys.readouterr().out


def setting(tiny_model: Path) -> list[str]:
    return ["--set", f"model.path={tiny_model}", "--set", "model.runtime=litert", "--set", "worker.threads=1"]


def test_folders_are_searched_in_depth(videos: Path) -> None:
    names = [p.name for p in find_files([videos, videos / "face.mp4"])]
    assert names == ["still.png", "face.mp4", "garbage.mp4", "wall.mp4"]


def test_scan_gives_every_file_its_row_and_goes_on(
    videos: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = scan(capsys, videos, "--json", *setting(tiny_model))
    reports = {Path(r["file"]).name: r for r in map(json.loads, out.splitlines())}
    assert code == 2  # not all could be scored
    assert list(reports) == ["still.png", "face.mp4", "garbage.mp4", "wall.mp4"]
    face, still = reports["face.mp4"], reports["still.png"]
    assert 0 <= face["fake_probability"] <= 1
    assert (face["frames"], face["windows"], face["faces"]) == (20, 3, 1)
    assert face["reason"] is None
    assert set(face["checks"]) == {"appearance"}  # the only one that this model weighs
    assert still["frames"] == 1
    assert still["fake_probability"] is not None
    assert reports["wall.mp4"]["reason"] == "no face"
    assert reports["wall.mp4"]["fake_probability"] is None
    assert reports["garbage.mp4"]["state"] == "unknown"
    assert "garbage.mp4" in reports["garbage.mp4"]["reason"]


def test_scan_prints_a_table(
    videos: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    code, out = scan(capsys, videos / "face.mp4", videos / "wall.mp4", *setting(tiny_model))
    assert code == 2
    assert "worst interval" in out
    assert out.splitlines()[-1] == "2 files: 1 scored, 0 fake, 1 not scorable (1 no face)"


def test_scan_fails_when_every_file_fails(videos: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = scan(capsys, videos / "garbage.mp4", videos / "nowhere.mp4", "--json", *setting(tiny_model))
    assert code == 1
    assert all(json.loads(line)["reason"] for line in out.splitlines())


def test_scan_of_nothing_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(tmp_path)]) == 1
    assert "no video or image" in capsys.readouterr().err


def test_evaluate_writes_scores_report_and_picture(
    videos: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = videos / "manifest.csv"
    manifest.write_text(
        "file,label,dataset,note\nface.mp4,real,A,first\ndeeper/still.png,fake,A,\nwall.mp4,fake,B,\ngone.mp4,real,B,\n"
    )
    out = tmp_path / "out"
    with warnings.catch_warnings():
        warnings.simplefilter("default", DeprecationWarning)  # of matplotlib's own dependencies
        assert (
            main(["evaluate", str(manifest), "--out", str(out), "--bootstrap", "50", *setting(tiny_model)]) == 1
        )  # one is missing
    rows = list(csv.DictReader((out / "scores.csv").read_text().splitlines()))
    assert [row["note"] for row in rows] == ["first", "", "", ""]
    assert [bool(row["fake_probability"]) for row in rows] == [True, True, False, False]
    assert [row["reason"] for row in rows] == ["", "", "no face", "the file is missing"]
    report = json.loads((out / "report.json").read_text())
    assert (report["files"], report["scored"], report["model"]) == (4, 2, "stand-in-0")
    assert report["auc"] in (0.0, 0.5, 1.0)
    assert report["groups"]["dataset"]["A"]["against_all_reals"]["fakes"] == 1
    assert report["groups"]["dataset"]["B"]["against_own_reals"]["auc"] is None
    assert (out / "roc.png").read_bytes().startswith(b"\x89PNG")
    assert report["unscored"] == {"real": {"the file is missing": 1}, "fake": {"no face": 1}}
    told = "2 of 4 files scored; not scored: 1 real (1 the file is missing); not scored: 1 fake (1 no face)."
    assert told in capsys.readouterr().out


def test_a_video_encoded_again_keeps_its_times(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", pts_ms=[n * 40 + 500 * (n > 10) for n in range(50)], rotation=90, crf=10)
    again = reencode(clip, tmp_path / "again.mp4", Reencoding(crf=40, scale=0.5), 1.5, VideoSettings())
    frames = [list(read_frames(str(path), "clip", VideoSettings())) for path in (clip, again)]
    before = [frame for frame in frames[0] if frame.time_s < 1.5]
    assert [f.time_s for f in frames[1]] == pytest.approx([f.time_s for f in before], abs=0.002)
    assert (before[0].image.shape, frames[1][0].image.shape) == ((320, 240, 3), (160, 120, 3))
    loss = cv2.resize(before[0].image, (120, 160), interpolation=cv2.INTER_AREA).astype(int) - frames[1][0].image
    assert 2 < np.abs(loss).mean() < 30  # the same picture, with little left of its noise
    assert again.stat().st_size < clip.stat().st_size / 10


def test_evaluate_encodes_again(videos: Path, tiny_model: Path, tmp_path: Path) -> None:
    manifest = videos / "again.csv"
    manifest.write_text("file,label\nface.mp4,real\ndeeper/still.png,fake\ngarbage.mp4,real\n")
    argv = ["evaluate", str(manifest), "--out", str(tmp_path), "--seconds", "1", *setting(tiny_model)]
    assert main([*argv, "--crf", "30"]) == 0
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))
    assert [row["frames"] for row in rows] == ["8", "1", "0"]
    assert re.search(r"Cannot read .*garbage\.mp4: it is damaged", rows[2]["reason"])
    assert json.loads((tmp_path / "report.json").read_text())["reencoded"] == {"crf": 30, "scale": 1.0}
    assert main([*argv, "--scale", "7"]) == 1


@pytest.mark.slow
def test_processes_change_no_score(videos: Path, tiny_model: Path, tmp_path: Path) -> None:
    manifest = videos / "two.csv"
    manifest.write_text("file,label\nface.mp4,real\ndeeper/still.png,fake\n")
    for jobs in ("1", "2"):
        argv = ["evaluate", str(manifest), "--out", str(tmp_path / jobs), "--jobs", jobs, "--seconds", "1"]
        assert main([*argv, *setting(tiny_model)]) == 0
    one, two = ((tmp_path / jobs / "scores.csv").read_text() for jobs in ("1", "2"))
    assert one == two
    assert [row["frames"] for row in csv.DictReader(one.splitlines())] == [
        "8",
        "1",
    ]  # of 20 frames at 8 fps, and a still


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,kind\na.mp4,real\n", "lacks the column label"),
        ("file,label\na.mp4,maybe\n", "Line 2 of .* real or fake, not 'maybe'"),
        ("file,label\n", "no rows"),
        ("file,label\na.mp4,real,x\n", "more cells"),
    ],
)
def test_a_wrong_manifest_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_manifest(tmp_path / "m.csv")


def test_figures_of_known_scores() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1], np.int8)
    apart = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    assert equal_error_rate(labels, apart) == 0
    assert equal_error_rate(labels, 1 - apart) == 1
    mixed = np.array([0.1, 0.2, 0.3, 0.65, 0.35, 0.7, 0.8, 0.9])
    assert equal_error_rate(labels, mixed) == pytest.approx(0.25)
    low, high = bootstrap_auc(labels, mixed, 300, seed=1)
    assert 0.5 < low < 15 / 16 < high <= 1
    assert bootstrap_auc(labels, mixed, 300, seed=1) == [low, high]


def test_probabilities_that_mean_what_they_say_have_no_calibration_error() -> None:
    labels = np.array([0, 0, 0, 1, 0, 1, 1, 1], np.int8)
    honest = np.array([0.25] * 4 + [0.75] * 4)
    assert calibration_error(labels, honest) == pytest.approx(0)
    assert calibration_error(np.tile(labels, 2), np.tile(honest, 2)) == pytest.approx(0)
    sure = np.array([0.05] * 4 + [0.95] * 4)
    assert calibration_error(labels, sure) == pytest.approx(0.2)
    reals = labels == 0
    more_reals = np.concatenate([labels, labels[reals]]), np.concatenate([sure, sure[reals]])
    assert calibration_error(*more_reals) == pytest.approx(0.2)  # the mixture of a collection does not count


def test_groups_meet_their_own_and_all_reals() -> None:
    rows = [
        {"label": label, "fake_probability": score, "dataset": dataset}
        for label, score, dataset in [
            ("real", "0.1", "A"),
            ("fake", "0.6", "A"),
            ("real", "0.7", "B"),
            ("fake", "", "B"),
        ]
    ]
    report = report_of(rows, threshold=0.5, resamples=20)
    group = report["groups"]["dataset"]["A"]
    assert (group["against_own_reals"]["auc"], group["against_all_reals"]["auc"]) == (1.0, 0.5)
    assert group["against_own_reals"]["accuracy"] == 1.0
    assert report["groups"]["dataset"]["B"]["against_own_reals"]["auc"] is None
    assert (report["files"], report["scored"]) == (4, 3)
    assert (report["recall"], report["accused_reals"]) == (1.0, 1)
    assert "false_alarms" not in report
    timed = [{**row, "alarms": str(n), "seconds": "900"} for n, row in enumerate(rows)]
    report = report_of(timed, threshold=0.5, resamples=20)
    assert (report["false_alarms"], report["real_hours"], report["false_alarms_per_hour"]) == (2, 0.5, 4.0)


def test_a_file_in_a_folder_whose_name_reads_as_a_url_is_a_file(tiny_model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for scheme in ("rtsp:", "http:", "file:"):
        (tmp_path / scheme).mkdir()
        (tmp_path / scheme / "portrait.png").write_bytes(picture_bytes("png"))
    main(["scan", "--json", ".", "rtsp:/portrait.png", *setting(tiny_model)])
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {report["reason"] for report in reports} == {"no face"}
    assert sorted(r["file"] for r in reports) == [f"{tmp_path}/{s}:/portrait.png" for s in ("file", "http", "rtsp")]
