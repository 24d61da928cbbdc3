"""Real-world clips: as they are listed and read, and pictures that two of them show."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import av
import cv2
import h5py
import numpy as np
import pytest

from dfd_core.cli.main import main
from dfd_core.errors import DataError
from tests.fixtures_faces import clip_set, pages_of_clips
from trainer.data.dataset import Dataset, DatasetWriter, FaceWindow, FileRow, Header
from trainer.data.duplicates import find_twins
from trainer.data.face_pool import FacePool
from trainer.data.layouts import layout_named
from trainer.fakes.degrade import through_jpeg

COLUMNS = "file,id,label,family,method,group,use,region,repo,blob,path,pair,licence,licence_where"
ROWS = (
    "one.mp4,one,real,real,real,ann,train,,a/page,0,x,,MIT,LICENSE",
    "two.mp4,two,fake,swap,SimSwap,ann,train,,a/page,0,x,one,MIT,LICENSE",
    "three.mp4,three,real,real,GRID corpus,s1,evaluate,,b/page,0,x,,CC-BY-4.0,zenodo",
    "four.mp4,four,fake,lip-sync,EAT,ben,evaluate,,c/page,0,x,,MIT,README",
)


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    return cv2.imread(str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))


def build(source: Path, out: Path, layout: str, *options: str) -> int:
    shares = ("--validation", "0.4", "--test", "0", "--jobs", "1")
    return main(["data", "build", str(source), "--layout", layout, "--out", str(out), *shares, *options])


def listed(folder: Path, portrait: np.ndarray) -> Path:
    """A folder of clips.csv and crops.csv, two crops a clip."""
    (folder / "crops").mkdir(parents=True)
    (folder / "clips.csv").write_text("\n".join((COLUMNS, *ROWS)))
    lines = ["file,clip,time_s,face_px"]
    for row in ROWS:
        name = row.split(",")[1]
        for n in (1, 0):  # the list is in no order
            cv2.imwrite(str(folder / "crops" / f"{name}-{n}.png"), cv2.resize(portrait[60:360, 100:400], (160, 160)))
            lines.append(f"crops/{name}-{n}.png,{name},{n}.5,100")
    (folder / "crops.csv").write_text("\n".join(lines))
    return folder


def test_crops_of_clips_become_single_frames(
    tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = listed(tmp_path / "in", portrait), tmp_path / "set.h5"
    assert build(source, out, "clips", "--frames", "1") == 0
    data = Dataset(out)
    assert data.starts_s.tolist() == [0.5, 1.5] * 4  # in order of time
    file = {entry.path: entry for entry in data.files}
    assert [len(data.rows(split)) for split in ("train", "validation")] == [4, 4]
    fake = file["two.mp4"]
    assert (fake.path, fake.pair, fake.family, fake.source) == ("two.mp4", "one.mp4", "swap", "a/page")
    assert (fake.licence, fake.groups, file["three.mp4"].groups) == ("MIT (LICENSE)", ("ann",), ("s1", "GRID"))
    assert np.allclose(data.boxes(0), [[30, 30, 130, 130]])  # of the 160 px a face box is the middle 100
    assert data.window(0).side == 160
    assert np.isfinite(data.mesh(0)).all()
    assert main(["data", "info", str(out)]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("SimSwap", "lip-sync", "MIT (LICENSE)", "c/page"))


def test_crops_are_no_windows(tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(listed(tmp_path / "in", portrait), tmp_path / "set.h5", "clips", "--frames", "16") == 1
    assert "say --frames 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cell", "wrong", "said"),
    [(",evaluate,", ",perhaps,", "use must be"), (",fake,lip", ",odd,lip", "real or fake"), ("c/page", "", "")],
)
def test_wrong_rows_are_named(tmp_path: Path, portrait: np.ndarray, cell: str, wrong: str, said: str) -> None:
    source = listed(tmp_path, portrait)
    text = (source / "clips.csv").read_text()
    (source / "clips.csv").write_text(text.replace(cell, wrong))
    if said:
        with pytest.raises(DataError, match=said):
            layout_named("clips").files(source)
    else:
        assert layout_named("clips").files(source)[3].source == ""


def encode(path: Path, frames: list[np.ndarray]) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=8)
        stream.height, stream.width = frames[0].shape[:2]
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))


def manifest(folder: Path, portrait: np.ndarray, region: str = '"0,0,0.5,1"') -> Path:
    """Two clips of the portrait in the left half of a dark frame, of which a region is to be looked at."""
    folder.mkdir(parents=True)
    frame = np.zeros((240, 480, 3), np.uint8)
    frame[:, :240] = cv2.cvtColor(cv2.resize(portrait[:500, :500], (240, 240)), cv2.COLOR_BGR2RGB)
    for name in ("a.mp4", "b.mp4"):
        encode(folder / name, [frame] * 8)
    rows = [f"a.mp4,real,train,,{region}", f"b.mp4,fake,train,a.mp4,{region}"]
    (folder / "list.csv").write_text("\n".join(("file,label,split,pair,region", *rows)))
    return folder / "list.csv"


def test_only_the_region_is_looked_at(tmp_path: Path, portrait: np.ndarray) -> None:
    options = ("--frames", "2", "--windows", "1", "--validation", "0")
    assert build(manifest(tmp_path / "left", portrait), tmp_path / "l.h5", "manifest", *options) == 0
    assert Dataset(tmp_path / "l.h5").files[1].pair == "a.mp4"
    assert build(manifest(tmp_path / "right", portrait, '"0.5,0,1,1"'), tmp_path / "r.h5", "manifest", *options) == 1


@pytest.mark.parametrize("region", ["0.5", '"0,0,2,1"', '"0.5,0,0.5,1"', "left"])
def test_a_wrong_region_is_named(tmp_path: Path, portrait: np.ndarray, region: str) -> None:
    with pytest.raises(DataError, match=r"Line 2 .*: a region is left,top,right,bottom"):
        layout_named("manifest").files(manifest(tmp_path / "in", portrait, region))


def test_names_may_hold_any_character(tmp_path: Path, portrait: np.ndarray) -> None:
    for label in ("Real", "Fake"):
        folder = tmp_path / "in" / label
        folder.mkdir(parents=True)
        names = [b"a+b.png", b"a.png", b"b.png", b"caf\xe9+1.png", b"x\ny.png"]
        for n, name in enumerate(names):
            path = os.fsencode(folder) + b"/" + name
            cv2.imwrite(str(tmp_path / "one.png"), np.clip(portrait * (1 - n / 10), 0, 255).astype(np.uint8))
            os.replace(tmp_path / "one.png", path)
    assert build(tmp_path / "in", tmp_path / "set.h5", "folders", "--frames", "1", "--windows", "1") == 0
    data = Dataset(tmp_path / "set.h5")
    assert ("a+b",) in [file.groups for file in data.files]
    assert "Real/caf\\udce9+1.png".replace("\\udce9", "\\xe9") in [file.path for file in data.files]


@pytest.mark.parametrize(
    ("real", "fake", "people"),
    [
        ("000 003", "000_003", ("000", "003")),
        ("000", "000_003", ("000", "003")),  # the other video is not here, and other fakes show its face too
        ("ann ben", "ann_ben", ("ann", "ben")),
        ("ann_lee ben_ray", "ann_lee_ben_ray", ("ann_lee", "ben_ray")),
        ("ann", "ann_swap", ("ann",)),
        ("ann_swap ann", "ann_swap", ("ann_swap",)),
        ("ann", "eve_kim", ("eve_kim",)),
    ],
)
def test_fakes_in_folders_are_of_those_whom_their_names_join(
    tmp_path: Path, portrait: np.ndarray, real: str, fake: str, people: tuple[str, ...]
) -> None:
    for folder, names in (("Real", real.split()), ("Fake", [fake])):
        (tmp_path / folder).mkdir()
        for name in names:
            cv2.imwrite(str(tmp_path / folder / f"{name}.png"), portrait)
    assert [f.identities for f in layout_named("folders").files(tmp_path) if f.fake] == [people]


def test_a_data_set_of_the_schema_before_is_read(pool: FacePool, tmp_path: Path) -> None:
    path = clip_set(tmp_path / "set.h5", pool, pages_of_clips())
    with h5py.File(path, "r+") as h5:
        for name in (
            "landmarks",
            "quantisers",
            *(f"files/{n}" for n in ("groups", "family", "source", "pair", "licence")),
        ):
            del h5[name]
        h5.create_dataset("files/group", data=["ann+ben"] * len(h5["files/path"]), dtype=h5py.string_dtype())
        h5["split"][:] = 0
        h5.attrs["version"] = 1
    data = Dataset(path)
    assert data.groups(0) == ["ann", "ben"]
    assert data.files[0].licence == ""
    assert np.isnan(data.window(0).landmarks).all()


def pictures(path: Path, images: dict[tuple[str, str], np.ndarray]) -> Path:
    """A data set of stills, by person and split."""
    with DatasetWriter(path, Header(160, 1, 8.0, "folders", "group")) as writer:
        for n, ((person, split), image) in enumerate(images.items()):
            file = writer.add_file(FileRow(f"{n}.png", (person,)))
            unknown = [np.full((1, *shape), np.nan, np.float32) for shape in ((4,), (468, 2), (6, 2), ())]
            boxes, mesh, landmarks, quantisers = unknown
            window = FaceWindow(
                image[None],
                160.0,
                np.ones(1, np.uint8),
                np.zeros(1),
                boxes,
                mesh.astype(np.float16),
                landmarks,
                quantisers,
            )
            writer.add(window, file, bool(n % 2), split)
        writer.close()
    return path


def test_a_picture_on_two_sides_is_found_whatever_its_size_and_quality(
    tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    face = cv2.cvtColor(cv2.resize(portrait[60:360, 100:400], (160, 160)), cv2.COLOR_BGR2RGB)
    small = cv2.resize(cv2.resize(face, (90, 90), interpolation=cv2.INTER_AREA), (160, 160))
    other = np.ascontiguousarray(face[:, ::-1])
    again = through_jpeg(small, 60)
    own = pictures(tmp_path / "a.h5", {("ann", "train"): face, ("ben", "train"): other, ("eve", "validation"): again})
    assert main(["data", "duplicates", str(own)]) == 1
    printed = capsys.readouterr().out
    assert "on two sides" in printed
    assert "a.h5: 0.png (ann) and a.h5: 2.png (eve)" in printed
    assert "1 pairs of files" in printed
    alone = pictures(tmp_path / "b.h5", {("ann", "train"): face, ("ben", "validation"): other})
    assert main(["data", "duplicates", str(alone)]) == 0
    elsewhere = pictures(tmp_path / "c.h5", {("ann", "train"): again, ("kim", "validation"): face[::-1].copy()})
    assert main(["data", "duplicates", str(alone), "--against", str(elsewhere)]) == 1
    assert [(t.one, t.other) for t in find_twins([Dataset(alone), Dataset(elsewhere)], 40)] == [((0, 0), (1, 0))]


def test_groups_that_show_one_person_are_linked_and_kept_together(
    tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    face = cv2.cvtColor(cv2.resize(portrait[60:360, 100:400], (160, 160)), cv2.COLOR_BGR2RGB)
    again, other = through_jpeg(face, 60), np.ascontiguousarray(face[:, ::-1])
    people = {("ben", "train"): face, ("ann", "train"): again, ("eve", "train"): through_jpeg(face, 80)}
    data = pictures(tmp_path / "a.h5", {**people, ("kim", "train"): other})
    assert main(["data", "duplicates", str(data), "--links", str(tmp_path / "links.csv")]) == 0
    assert (tmp_path / "links.csv").read_text().split() == ["group,person", "ann,ann", "ben,ann", "eve,ann"]
    (tmp_path / "clips.csv").write_text("\n".join((COLUMNS, *ROWS)))
    files = layout_named("clips").files(tmp_path)
    assert [file.identities for file in files] == [
        ("ann", "person ann"), ("ann", "person ann"), ("s1", "GRID"), ("ben", "person ann")
    ]  # fmt: skip
    (tmp_path / "links.csv").write_text("group\nann\n")
    with pytest.raises(DataError, match="lacks the column person"):
        layout_named("clips").files(tmp_path)
    assert main(["data", "duplicates", str(data), "--links", str(tmp_path / "no" / "links.csv")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_region_is_evaluated_alone(tmp_path: Path, portrait: np.ndarray) -> None:
    folder = manifest(tmp_path / "in", portrait).parent
    rows = ['a.mp4,real,"0,0,0.5,1"', 'b.mp4,fake,"0.5,0,1,1"', "b.mp4,fake,"]
    (folder / "list.csv").write_text("\n".join(("file,label,region", *rows)))
    assert main(["evaluate", str(folder / "list.csv"), "--out", str(tmp_path / "out"), "--bootstrap", "2"]) == 0
    with (tmp_path / "out" / "scores.csv").open(newline="") as handle:
        faces = [row["faces"] for row in csv.DictReader(handle)]
    assert faces == ["1", "0", "1"]  # the right half is dark


def test_a_wrong_region_is_evaluated_nowhere(
    tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(manifest(tmp_path / "in", portrait, "left")), "--out", str(tmp_path / "out")]) == 1
    assert "Line 2" in (said := capsys.readouterr().err)
    assert "a region is left,top,right,bottom" in said
