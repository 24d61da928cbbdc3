"""Real-world clips: as they are listed and drawn, and the folds that judge a recipe by what it has not seen."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import cv2
import h5py
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from dfd_core.cli.main import main
from dfd_core.errors import DataError
from tests.fixtures_faces import SMOKE, Clip, clip_set, pages_of_clips
from tests.keras_process import KerasProcess
from tests.test_trainer import run_commands
from trainer.data.dataset import Dataset, DatasetWriter, FaceWindow, FileRow, Header
from trainer.data.duplicates import find_twins
from trainer.data.face_pool import TRAIN, VALIDATION, FacePool, pool_of
from trainer.data.layouts import layout_named
from trainer.fakes.degrade import equally_sharp, sharpness_of, through_jpeg
from trainer.training.folds import folds_of, without_family

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


def test_methods_are_drawn_evenly_however_many_clips_they_have(pool: FacePool, tmp_path: Path) -> None:
    counts = {"one": 1, "few": 3, "many": 12}
    fakes = [Clip(f"{m}{n}", "p", "x", m, "swap") for m, count in counts.items() for n in range(count)]
    drawn_from = pool_of(
        [clip_set(tmp_path / "s.h5", pool, [*fakes, Clip("r", "p", "y"), Clip("v", "p", "z", split="validation")])]
    )
    rng = np.random.default_rng(1)
    drawn = [drawn_from.draw_fake("real", rng) for _ in range(3000)]
    by_method = Counter(str(drawn_from.sources[n]) for n in drawn)
    assert all(abs(by_method[method] - 1000) < 110 for method in counts)
    by_file = Counter(int(drawn_from.files[n]) for n in drawn if drawn_from.sources[n] == "many")
    assert len(by_file) == 12
    assert max(by_file.values()) < 2 * min(by_file.values())


def test_a_fake_meets_its_own_real_moment_and_others_of_its_page(pool: FacePool, tmp_path: Path) -> None:
    own = [Clip("r", "p", "ann"), Clip("f", "p", "ann", "m", "swap", "r"), Clip("r2", "p", "ben")]
    clips = [*own, Clip("r3", "q", "eve"), Clip("v", "q", "z", split="validation")]
    drawn_from = pool_of([clip_set(tmp_path / "s.h5", pool, clips, moments=3)]).only(
        np.array([True] * 12 + [False] * 3)
    )
    rng, fake = np.random.default_rng(1), 5  # the last moment of f
    partners = Counter(drawn_from.partner(fake, rng) for _ in range(2000))
    assert not any(drawn_from.fake[n] for n in partners)
    assert partners[2] > 0.65 * 2000  # the same moment of r
    of_others = [drawn_from.pages[n] == "p" for n in partners if n != 2]
    assert any(of_others)
    assert sum(count for n, count in partners.items() if drawn_from.groups[n] == ("ben",)) > 0.1 * 2000


def test_pages_count_by_the_root_of_their_files(pool: FacePool, tmp_path: Path) -> None:
    clips = [Clip(f"a{n}", "a", f"a{n}") for n in range(9)] + [
        Clip("b", "b", "b"),
        Clip("v", "c", "v", split="validation"),
    ]
    own = pool_of([clip_set(tmp_path / "s.h5", pool, clips)])
    own = own.only(own.splits == TRAIN)
    of_a = own.chances[own.pages[own.reals] == "a"].sum()
    assert of_a == pytest.approx(0.75)
    assert own.chances.sum() == pytest.approx(1)


def test_untouched_pairs_are_as_they_were(pool: FacePool, tmp_path: Path) -> None:
    clips = [Clip("r", "p", "ann"), Clip("f", "p", "ann", "m", "swap", "r"), Clip("v", "q", "z", split="validation")]
    own = pool_of([clip_set(tmp_path / "s.h5", pool, clips)])
    pairs = {}
    for share in (0.0, 1.0):
        plan = replace(SMOKE.sampling.degradation, untouched_share=share, noise_share=1.0, noise_sigma=(20.0, 21.0))
        sampler = SMOKE.but(degradation=plan, fakes={"real": 1.0}).sampler(own)
        pairs[share] = sampler.pair("real", np.random.default_rng(1))
    grain = {share: np.abs(np.diff(pair.astype(int), axis=2)).mean() for share, pair in pairs.items()}
    assert grain[0.0] > 1.3 * grain[1.0]


def test_sharpness_tells_nothing_after_sampling(pool: FacePool) -> None:
    """Fakes that are blurred by so much are as sharp as their real faces once both were drawn."""
    rng, before, after, sampler = np.random.default_rng(1), [], [], SMOKE.sampler(pool)
    for n in range(60):
        real = sampler.pair("self_blended", rng, int(pool.reals[n % len(pool.reals)]))[0]
        fake = cv2.GaussianBlur(real, (0, 0), rng.uniform(0.8, 2.0))
        noisy = np.clip(real + rng.normal(0, 4, real.shape), 0, 255).astype(np.uint8)
        before.append([sharpness_of(image, 96) for image in (noisy, fake)])
        after.append([sharpness_of(image, 96) for image in equally_sharp([noisy, fake], 96)])
    labels = [0, 1] * 60
    assert roc_auc_score(labels, -np.ravel(before)) > 0.9
    assert roc_auc_score(labels, -np.ravel(after)) == pytest.approx(0.5, abs=0.07)


def test_equally_sharp_pictures_stay_as_they_are(pool: FacePool) -> None:
    image = SMOKE.sampler(pool).pair("self_blended", np.random.default_rng(1), 0)[0]
    assert all(np.array_equal(image, same) for same in equally_sharp([image, image], 96))


def test_folds_share_no_method_no_page_and_nobody(pool: FacePool, tmp_path: Path) -> None:
    clips = [*pages_of_clips(), Clip("again.mp4", "page/9", "p00")]  # somebody of page 0 on a page of his own
    whole = pool_of([clip_set(tmp_path / "s.h5", pool, clips)])
    folds = folds_of(whole, 2, 1)
    tested = np.sum([fold.test for fold in folds], axis=0)
    assert np.array_equal(tested, (whole.splits == TRAIN).astype(int))
    for fold in folds:
        assert not (fold.train & fold.test).any()
        assert not (fold.train & (whole.splits == VALIDATION)).any()
        sides = [whole.only(side) for side in (fold.train, fold.test)]
        for of in (
            lambda p: set(p.pages),
            lambda p: set(p.sources[p.fake]),
            lambda p: {g for gs in p.groups for g in gs},
        ):
            assert of(sides[0]).isdisjoint(of(sides[1]))
        assert set(sides[1].families) == {"real", "swap", "talking-head"}  # every family in every fold
    with pytest.raises(DataError, match="make no 9 folds"):
        folds_of(whole, 9, 1)


def test_a_family_is_left_out_whole(pool: FacePool, tmp_path: Path) -> None:
    whole = pool_of([clip_set(tmp_path / "s.h5", pool, pages_of_clips())])
    fold = without_family(whole, "swap")
    assert set(whole.families[fold.train]) == {"real", "talking-head"}
    assert set(whole.families[fold.test]) == {"real", "swap"}
    with pytest.raises(DataError, match="there are swap, talking-head"):
        without_family(whole, "swapp")


@pytest.mark.slow
def test_from_clips_to_a_fused_model_judged_by_folds(tmp_path: Path, pool: FacePool, in_keras: KerasProcess) -> None:
    """Folds are trained and scored, the last network is exported, and its fusion fitted on what no network had seen."""
    crops = clip_set(tmp_path / "crops.h5", pool, pages_of_clips())
    windows = clip_set(tmp_path / "windows.h5", pool, pages_of_clips(), moments=1, frames=4)
    train = ["train", "smoke", "--data", crops, "--feeders", 1, "--change", "fakes.real=1.0", "--change", "size=96"]
    folded, again, trained, exported, fused = run_commands(
        in_keras,
        [*train, "--folds", 2, "--without", "swap", "--out", tmp_path / "folds"],
        [*train, "--folds", 2, "--without", "swap", "--out", tmp_path / "folds"],
        [*train, "--out", tmp_path / "run"],
        ["export", tmp_path / "run", "--out", tmp_path / "model"],
        [
            "fuse",
            tmp_path / "model",
            "--windows",
            windows,
            "--folds",
            tmp_path / "folds",
            "--jobs",
            1,
            "--out",
            tmp_path / "out",
        ],
    )
    assert folded.count("step 2/2") == 3
    assert "step 2/2" not in again  # nothing is trained twice
    assert "step 2/2" in trained
    assert "model.tflite" in exported
    report = json.loads((tmp_path / "folds" / "report.json").read_text())
    assert set(report["groups"]["family"]) == {"real", "swap", "talking-head"}
    assert set(report["groups"]["fold"]) == {"fold-0", "fold-1", "without-swap"}
    assert report["files"] == 16 + 8
    assert report["validation_auc"] is not None
    rows = list(csv.DictReader((tmp_path / "folds" / "scores.csv").read_text().splitlines()))
    assert Counter(row["split"] for row in rows) == {"train": 24, "validation": 6}
    assert "talking-head" in fused
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert set(card["figures"]["clips"]["auc_by_kind"]) == {"swap", "talking-head"}
    assert {s["licence"] for s in card["data"]["sources"]} == {"MIT (LICENSE)"}
    assert {"source": "page/0", "licence": "MIT (LICENSE)", "real": 2, "fake": 2} in card["data"]["sources"]


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
