"""Faults found in the field: a file X with a property, and X-not, the same picture without it, score alike.

The files are no part of the repository: DFD_FAULTS, or ../shared/faults beside it, names their folder.
"""

import os
from functools import cache
from pathlib import Path

import pytest

from dfd_core.detector import scan_file
from dfd_core.judging.report import Report
from dfd_core.judging.scoring import Scorer, load_scorer
from dfd_core.settings import Settings

FAULTS = Path(os.environ.get("DFD_FAULTS") or Path(__file__).parents[2] / "shared" / "faults")
pytestmark = pytest.mark.skipif(
    not FAULTS.is_dir(), reason=f"the files of faults found in the field are not in {FAULTS}"
)
PAIRS = sorted(path for path in FAULTS.glob("*.*") if list(FAULTS.glob(f"{path.stem}-not.*")))


@cache
def scorer() -> Scorer:
    return load_scorer(Settings())


def scan(path: Path) -> Report:
    return scan_file(path, Settings(), scorer())


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.stem)
def test_with_and_without_the_property_score_alike(path: Path) -> None:
    (plain,) = FAULTS.glob(f"{path.stem}-not.*")
    scores = [scan(file).fake_probability for file in (path, plain)]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)


def test_tiles_score_as_the_whole_picture() -> None:
    tiled, whole = (scan(FAULTS / name) for name in ("both_grid.avif", "both.avif"))
    assert tiled.faces == whole.faces
    assert tiled.fake_probability == pytest.approx(whole.fake_probability, abs=0.02)


def test_the_film_is_read_not_its_poster() -> None:
    report = scan(FAULTS / "poster-track.mp4")
    assert report.frames == 24
    assert report.notes[0].startswith("read was stream 0 ")


def test_a_cut_download_says_how_far_it_was_read() -> None:
    report = scan(FAULTS / "cut-at-30-percent.mp4")
    assert (report.partial, report.of_s) == (True, 12.0)
    assert "read to 00:03 of 00:12" in (report.reason or "")


def test_times_are_those_of_a_player() -> None:
    times = [time_s for time_s, _ in scan(FAULTS / "picture-from-5s.mkv").timeline]
    assert times
    assert all(5 < time_s < 8.1 for time_s in times)


def test_a_moving_picture_is_a_film() -> None:
    assert scan(FAULTS / "animated.webp").frames == 24
