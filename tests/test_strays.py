"""Files in which some stamps are hours away: times are those of the film, and what was read is the whole."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfd_core.media.clock import Clock
from dfd_core.media.strays import without_strays
from tests.clips import write_clip
from tests.reading import read
from tests.stamps import restamped

COUNT = 150
STRAYS: dict[str, Callable[[int, float], float]] = {
    "one ahead": lambda n, at: at + 7200 * (n == 60),
    "one in fifty ahead": lambda n, at: at + 3600 * (n % 50 == 49),
    "one in twenty-five back": lambda n, at: at - 900 * (n % 25 == 24),
    "three in a row ahead": lambda n, at: at + 5000 * (70 <= n < 73),
    "either way": lambda n, at: at + 4000 * (n % 40 == 20) - 1000 * (n % 40 == 5),
}


def whole(path: Path) -> Path:
    return write_clip(path, frames=COUNT, options={"preset": "ultrafast", "g": "25", "bf": "0", "threads": "1"})


@pytest.mark.parametrize("strays", STRAYS)
def test_a_transport_stream_has_the_times_of_its_film(tmp_path: Path, strays: str) -> None:
    good = whole(tmp_path / "good.ts")
    change = STRAYS[strays]
    bad = tmp_path / "bad.ts"
    bad.write_bytes(restamped(good.read_bytes(), lambda n, at: change(n, at + 2000)))
    expected, times = ([frame.time_s for frame in read(path)] for path in (good, bad))
    assert times == pytest.approx(expected, abs=0.13)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("every", [50, 1000])
def test_other_containers_have_them_too(tmp_path: Path, suffix: str, every: int) -> None:
    good, bad = whole(tmp_path / "good.mp4"), tmp_path / f"bad{suffix}"
    with av.open(str(good)) as source, av.open(str(bad), "w") as film:
        stream = film.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size and packet.pts is not None:
                packet.stream = stream
                packet.pts += round(7200 / packet.time_base) if number % every == 49 else 0
                film.mux(packet)
    times = [frame.time_s for frame in read(bad)]
    assert times == pytest.approx([frame.time_s for frame in read(good)], abs=0.05)


def picture(time_s: float | None) -> av.VideoFrame:
    frame = av.VideoFrame(16, 16, "gray")
    frame.time_base = Fraction(1, 1000)
    frame.pts = None if time_s is None else round(time_s * 1000)
    return frame


def times_of(stamps: list[float | None], step_s: float = 0.04) -> list[float]:
    clock = Clock(step_s)
    return [clock.media_s(pts) for _, pts in without_strays(map(picture, stamps), step_s)]


@given(st.lists(st.integers(1, 148), max_size=12), st.sampled_from([-9000.0, -30.0, 30.0, 86400.0]))
def test_wherever_strays_are(numbers: list[int], by_s: float) -> None:
    astray, run = set[int](), 0
    for n in range(COUNT - 1):  # at most eight in a row, as many as are looked at
        run = run + 1 if n in numbers and run < 8 else 0
        astray |= {n} if run else set()
    stamps: list[float | None] = [n * 0.04 + (by_s if n in astray else 0.0) for n in range(COUNT)]
    assert times_of(stamps) == pytest.approx(np.arange(COUNT) * 0.04, abs=0.002)


@pytest.mark.parametrize(
    "stamps",
    [
        [0.0, 3.0, 6.0, 9.0, 12.0],
        [0.0, 0.04, 0.08, 9000.0, 9000.04, 9000.08],
        [0.0, 0.04, 600.0],
        [n * 0.04 for n in range(30)] + [50 + n * 0.04 for n in range(30)],
    ],
    ids=["few pictures", "a long pause", "a pause before the last", "two runs"],
)
def test_pauses_are_kept(stamps: list[float | None]) -> None:
    assert times_of(stamps) == pytest.approx(stamps)


def test_a_film_that_begins_anew_goes_on() -> None:
    assert times_of([n % 50 * 0.04 for n in range(150)]) == pytest.approx(np.arange(150) * 0.04)


@pytest.mark.parametrize("start_s", [None, 0.0])
def test_the_first_may_be_astray(start_s: float | None) -> None:
    clock = Clock(0.04, start_s)
    stamps = [1000.0, *(n * 0.04 for n in range(1, 50))]
    times = [clock.media_s(pts) for _, pts in without_strays(map(picture, stamps), 0.04)]
    assert times == pytest.approx(np.arange(50) * 0.04)


def test_without_stamps_nothing_changes() -> None:
    assert times_of([None] * 20) == pytest.approx(np.arange(20) * 0.04)
