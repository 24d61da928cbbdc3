"""From collections on disk to one HDF5 file and back: layouts and extraction; real video throughout."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from dfd_core.cli.main import main
from dfd_core.errors import DataError
from dfd_core.media import read_frames
from dfd_core.settings import VideoSettings
from ingest.sources.synthetic import Scene, render_synthetic
from tests.clips import write_clip
from trainer.data.dataset import Dataset, DatasetWriter
from trainer.data.layouts import LabelledFile, layout_named, layout_names, limited
from trainer.data.parts import Parts


@pytest.fixture(scope="session")
def face_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of the public-domain portrait, moved by a virtual camera."""
    pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    path = tmp_path_factory.mktemp("face") / "face.mp4"
    render_synthetic(path, Scene(duration=3.0, fake_from=3.0, size=(320, 240), fps=8))
    return path


def plant(root: Path, names: dict[str, object], clip: Path) -> Path:
    """A tree of files: None is a copy of `clip`, text and JSON are written."""
    for name, content in names.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.hardlink_to(clip)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
    return root


TREES: dict[str, dict[str, object]] = {
    "folders": {"Real/a.mp4": None, "REAL/bo/b.mp4": None, "fake/a.mp4": None, "notes.txt": "x"},
    "faceforensics": {
        "original_sequences/youtube/c23/videos/000.mp4": None,
        "original_sequences/youtube/c23/videos/003.mp4": None,
        "original_sequences/youtube/c23/videos/007.mp4": None,
        "original_sequences/actors/c23/videos/01__walk.mp4": None,
        "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4": None,
        "manipulated_sequences/Deepfakes/c23/videos/007_009.mp4": None,
        "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__walk__ABC.mp4": None,
        "splits/train.json": [["000", "003"]],
        "splits/test.json": [["007", "009"]],
    },
    "celeb-df": {
        "Celeb-real/id0_0000.mp4": None,
        "Celeb-synthesis/id0_id1_0000.mp4": None,
        "YouTube-real/00170.mp4": None,
        "List_of_testing_videos.txt": "1 YouTube-real/00170.mp4\n",
    },
    "dfdc": {
        "part_0/real.mp4": None,
        "part_0/fake.mp4": None,
        "part_0/metadata.json": {
            "real.mp4": {"label": "REAL"},
            "fake.mp4": {"label": "FAKE", "original": "real.mp4"},
            "gone.mp4": {"label": "FAKE", "original": "real.mp4"},
        },
    },
    "manifest": {
        "v/one.mp4": None,
        "v/two.mp4": None,
        "list.csv": "file,label,group,method,split\nv/one.mp4,Real,ann,,train\nv/two.mp4,fake,ann+ben,lips,\n",
    },
    "portraits": {
        "real/one.jpg": None,
        "real/two.jpg": None,
        "real/three.jpg": None,
        "faces.csv": "file,px,source\nreal/one.jpg,9,us_house\nreal/two.jpg,9,us_congress\nreal/three.jpg,9,ca_odi\n",
        "more/four.jpg": None,
        "more/generated.csv": "file,generator\nfour.jpg,stable-diffusion-3\n",
    },
    "clips": {
        "one.mp4": None,
        "two.mp4": None,
        "three.mp4": None,
        "manifest.csv": "file,id,label,family,method,group,use,region,repo,blob,path,pair,licence,licence_where\n"
        "one.mp4,one,real,real,real,ann,train,,a/page,0,x,,MIT,LICENSE\n"
        'two.mp4,two,fake,swap,SimSwap,ann,train,"0,0,0.5,1",a/page,0,x,one,MIT,LICENSE\n'
        "three.mp4,three,real,real,GRID corpus,s1,evaluate,,b/page,0,x,,CC-BY-4.0,zenodo\n",
    },
}

# name without folder -> fake, identities, method, compression, split
EXPECTED = {
    "folders": {("a.mp4", False, ("a",), "", "", None), ("b.mp4", False, ("bo",), "", "", None),
                ("a.mp4", True, ("a",), "", "", None)},
    "faceforensics": {
        ("000.mp4", False, ("youtube-000",), "youtube", "c23", "train"),
        ("003.mp4", False, ("youtube-003",), "youtube", "c23", "train"),
        ("007.mp4", False, ("youtube-007",), "youtube", "c23", "test"),
        ("01__walk.mp4", False, ("actor-01",), "actors", "c23", None),
        ("000_003.mp4", True, ("youtube-000", "youtube-003"), "Deepfakes", "c23", "train"),
        ("007_009.mp4", True, ("youtube-007", "youtube-009"), "Deepfakes", "c23", "test"),
        ("01_02__walk__ABC.mp4", True, ("actor-01", "actor-02"), "DeepFakeDetection", "c23", None),
    },
    "celeb-df": {
        ("id0_0000.mp4", False, ("id0",), "Celeb-real", "", None),
        ("id0_id1_0000.mp4", True, ("id0", "id1"), "Celeb-synthesis", "", None),
        ("00170.mp4", False, ("youtube-00170",), "YouTube-real", "", "test"),
    },
    "dfdc": {("real.mp4", False, ("real",), "", "", None), ("fake.mp4", True, ("real",), "dfdc", "", None)},
    "manifest": {("one.mp4", False, ("ann",), "", "", "train"), ("two.mp4", True, ("ann", "ben"), "lips", "", None)},
    "portraits": {
        ("one.jpg", False, ("us",), "us_house", "", None),
        ("two.jpg", False, ("us",), "us_congress", "", None),
        ("three.jpg", False, ("ca",), "ca_odi", "", None),
        ("four.jpg", True, ("generated-four",), "stable-diffusion-3", "", None),
    },
    "clips": {
        ("one.mp4", False, ("ann",), "real", "", "train"),
        ("two.mp4", True, ("ann",), "SimSwap", "", "train"),
        ("three.mp4", False, ("s1", "GRID"), "GRID corpus", "", "validation"),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", layout_names())
def test_every_layout_finds_its_files(name: str, tmp_path: Path, face_clip: Path) -> None:
    root = plant(tmp_path, TREES[name], face_clip)
    found = layout_named(name).files(root / "list.csv" if name == "manifest" else root)
    assert {(f.path.name, f.fake, f.identities, f.method, f.compression, f.split) for f in found} == EXPECTED[name]
    assert all(f.path.is_file() for f in found)


@pytest.mark.parametrize("name", layout_names())
def test_every_layout_refuses_what_is_not_its_own(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=str(tmp_path)):
        layout_named(name).files(tmp_path)


def test_an_unknown_layout_names_the_known() -> None:
    with pytest.raises(DataError, match="celeb-df"):
        layout_named("celebdf")


def test_the_limit_is_a_class_and_both_must_be_there() -> None:
    files = [LabelledFile(Path(f"{n}.mp4"), n % 2 == 0, (str(n),)) for n in range(10)]
    assert [f.path.stem for f in limited(files, 2)] == ["1", "3", "0", "2"]
    reals, fakes = ([f for f in files if f.fake is fake] for fake in (False, True))
    with pytest.raises(DataError, match=r"no fake file.*--real-only"):
        limited(reals, 2)
    with pytest.raises(DataError, match="no real file"):
        limited(fakes, 2)
    assert limited(files, 2, classes=(False,)) == reals[:2]


def collection(root: Path, clip: Path, count: int = 3) -> Path:
    """Real and Fake with `count` identities each; copies of one clip, for only the way is tested."""
    return plant(root, {f"{label}/p{n}.mp4": None for label in ("Real", "Fake") for n in range(count)}, clip)


def build(source: Path, out: Path, *more: str) -> int:
    return main(["data", "build", str(source), "--layout", "folders", "--out", str(out), "--jobs", "1", *more])


def test_build_reads_back_what_serving_would_cut(
    tmp_path: Path, face_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = collection(tmp_path / "in", face_clip)
    (root / "Real" / "broken.mp4").write_bytes(b"no video at all")
    write_clip(root / "Fake" / "faceless.mp4")
    out = tmp_path / "set.h5"
    shares = ("--frames", "8", "--windows", "2", "--validation", "0.3", "--test", "0.3")
    assert build(root, out, *shares) == 0
    printed = capsys.readouterr()
    assert "12 windows" in printed.out
    assert "2 files left out" in printed.out
    assert "broken.mp4" in printed.err
    assert "no face is seen for long enough" in printed.err
    data = Dataset(out)
    assert (len(data), data.header.split, data.header.frames) == (12, "group", 8)
    assert [len(data.rows(split, fake)) for split in ("train", "test") for fake in (False, True)] == [2, 2, 2, 2]
    assert {Path(path).name for path, _ in data.failed} == {"broken.mp4", "faceless.mp4"}
    crops, boxes, mesh = data.crops(0), data.boxes(0), data.mesh(0)
    assert crops.shape == (8, data.pixels[0], data.pixels[0], 3)
    assert crops.std() > 20
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert np.abs(centre - data.pixels[0] / 2).max() <= 1.5  # a crop is centred on its box
    assert boxes[0, 0] < mesh[0, :, 0].mean() < boxes[0, 2]
    with h5py.File(out) as raw:  # nothing beyond the crop
        assert raw["crops"][0, :, data.pixels[0] :].max(initial=0) == 0
    assert list(tmp_path.glob(".set.h5*")) == []


def test_info_counts_and_draws(tmp_path: Path, face_clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "set.h5"
    build(collection(tmp_path / "in", face_clip), out, "--frames", "1", "--windows", "1", "--split", "random-frames",
          "--validation", "0", "--test", "0")  # fmt: skip
    assert "remembers videos" in " ".join(capsys.readouterr().err.split())
    assert main(["data", "info", str(out), "--sheet", str(tmp_path / "sheet.png")]) == 0
    printed = capsys.readouterr().out
    assert "6 windows of 1 frames" in printed
    assert "random-frames" in printed
    assert "remembers videos" in " ".join(printed.split())
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
    assert main(["data", "info", str(out), "--sheet", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"dfd: {tmp_path} cannot be read or written")


def test_portraits_are_built_when_told_that_they_are_real_only(
    tmp_path: Path, face_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tmp_path / "in", tmp_path / "set.h5"
    sources = {"a.png": "us_house", "b.png": "us_congress", "c.png": "london_neutral", "d.png": "ca_odi"}
    plant(root, {"faces.csv": "\n".join(["file,source", *(f"{f},{s}" for f, s in sources.items())])}, face_clip)
    picture = next(iter(read_frames(str(face_clip), "test", VideoSettings()))).image
    for name in sources:
        cv2.imwrite(str(root / name), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    options = ("--layout", "portraits", "--frames", "1", "--validation", "0.3", "--test", "0.3")
    assert build(root, out, *options) == 1
    assert "say --real-only" in capsys.readouterr().err
    assert build(root, out, *options, "--real-only") == 0
    data = Dataset(out)
    assert [len(data.rows(split)) for split in ("train", "validation", "test")] == [2, 1, 1]
    assert not data.labels.any()
    assert {(f.path, f.method, f.groups) for f in data.files} == {
        (f, s, (s.split("_")[0],)) for f, s in sources.items()
    }
    capsys.readouterr()
    assert main(["data", "info", str(out), "--sheet", str(tmp_path / "sheet.png")]) == 0
    assert "layout portraits" in capsys.readouterr().out
    assert (tmp_path / "sheet.png").is_file()


def test_real_only_leaves_fakes_out(tmp_path: Path, face_clip: Path) -> None:
    out = tmp_path / "set.h5"
    once = ("--frames", "1", "--windows", "1", "--validation", "0", "--test", "0")
    assert build(collection(tmp_path / "in", face_clip, count=1), out, "--real-only", *once) == 0
    assert [f.path for f in Dataset(out).files] == ["Real/p0.mp4"]


def test_a_killed_build_goes_on(tmp_path: Path, face_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, out = collection(tmp_path / "in", face_clip), tmp_path / "set.h5"
    options = ("--frames", "1", "--windows", "1", "--validation", "0", "--test", "0")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DatasetWriter, "close", die)  # all is cut, nothing is written
        assert build(root, out, *options) == 130
    assert not out.exists()
    kept = sorted(tmp_path.glob(".set.h5*.parts/*.npz"))
    assert len(kept) == 6
    kept[0].unlink()
    times = {path: path.stat().st_mtime_ns for path in kept[1:]}
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "remove", lambda _: None)
        assert build(root, out, *options) == 0
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert len(Dataset(out)) == 6


def test_numbers_that_make_no_sense_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(tmp_path, tmp_path / "s.h5", "--frames", "0") == 1
    assert "at least 1" in capsys.readouterr().err
    shutil.rmtree(tmp_path)
