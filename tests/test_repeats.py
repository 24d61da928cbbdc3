"""Frozen, looped and black pictures, and those that only look like it: simulated, and some from a codec."""

from __future__ import annotations

import io
import itertools
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from redis import Redis

from dfd_core.conditions import Condition
from dfd_core.media.repeats import FROZEN_S, LOOPED_S, LoopFinder, Repeats
from dfd_core.settings import Settings
from dfd_core.types import Frame, UInt8Array
from ingest.publisher import Publisher
from ingest.pump import Pump
from ingest.sources import open_source
from ingest.sources.synthetic import Scene, render_synthetic

FPS = 8
RNG = np.random.default_rng(7)
NOISE = RNG.normal(0, 1, (308, 448)).astype(np.float32)


@pytest.fixture(autouse=True)
def same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "RNG", np.random.default_rng(7))


def scene(height: int = 180, width: int = 320) -> UInt8Array:
    """Something with edges and soft light, uint8 (H, W, 3)."""
    coarse = RNG.integers(40, 200, (9, 16, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def noisy(picture: UInt8Array, sigma: float) -> UInt8Array:
    """With a sensor's noise: a piece of one field that is hardly ever the same twice."""
    height, width = picture.shape[:2]
    y, x = RNG.integers(0, 128, 2)
    return np.clip(picture + sigma * NOISE[y : y + height, x : x + width, None], 0, 255).astype(np.uint8)


def encoded(pictures: Iterable[UInt8Array], rate: int, crf: int, gop: int) -> list[UInt8Array]:
    """What a player of the pictures' H.264 shows."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        options = {"preset": "ultrafast", "crf": str(crf), "g": str(gop)}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def told(
    pictures: Iterable[UInt8Array], rate: float = FPS, sample: float = FPS
) -> list[tuple[float, Condition | None]]:
    """What is said of the pictures, of `rate` a second and sampled as a source is, wherever that changes."""
    repeats, changes, due_s = Repeats(), [(0.0, None)], 0.0
    for index, picture in enumerate(pictures):
        if index / rate < due_s - 1e-9:
            continue
        due_s += 1 / sample
        condition = repeats.see(picture, index / rate)
        if condition is not changes[-1][1]:
            changes.append((index / rate, condition))
    return changes


def seconds(count: float) -> range:
    return range(round(count * FPS))


@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_a_static_scene_with_a_sensors_noise_is_neither_frozen_nor_looped(sigma: float) -> None:
    wall = scene()
    assert told(noisy(wall, sigma) for _ in seconds(30)) == [(0.0, None)]


@pytest.mark.parametrize("crf", [20, 33])
def test_what_an_encoder_leaves_of_the_noise_is_enough(crf: int) -> None:
    wall = scene()
    assert told(encoded((noisy(wall, 2.0) for _ in range(16 * 30)), 16, crf, gop=80), 16) == [(0.0, None)]


@pytest.mark.parametrize("crf", [None, 20, 33])
def test_the_same_picture_again_and_again_is_frozen_and_then_no_more(crf: int | None) -> None:
    wall = scene()
    frozen = [wall] * 16 * 30 if crf is None else encoded([wall] * 16 * 30, 16, crf, gop=32)
    changes = told([*frozen, *(noisy(wall, 2.0) for _ in range(16))], 16)
    assert [condition for _, condition in changes if condition is not Condition.LOOPED] == [
        None,
        Condition.FROZEN,
        None,
    ]
    (frozen_s,) = (at_s for at_s, condition in changes if condition is Condition.FROZEN)
    assert FROZEN_S <= frozen_s <= FROZEN_S + 8
    assert changes[-1][0] == pytest.approx(30, abs=0.2)


def clocked(picture: UInt8Array, second: int, place: tuple[int, int], scale: float = 0.5) -> UInt8Array:
    """With date and time written over it, as cameras do."""
    text = f"2026-11-30 {12 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    thick = max(1, round(2 * scale))
    written = cv2.putText(picture.copy(), text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thick)
    return np.asarray(written, np.uint8)


PLACES = {"top left": (4, 16), "top right": (130, 22), "bottom": (60, 172), "above the bottom": (20, 155)}


@pytest.mark.parametrize("crf", [None, 28])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_clock_that_runs_on_over_a_frozen_picture_hides_nothing(place: tuple[int, int], crf: int | None) -> None:
    frozen = [clocked(scene_, index // 16, place) for scene_ in [scene()] for index in range(16 * 25)]
    pictures = frozen if crf is None else encoded(frozen, 16, crf, gop=32)
    assert Condition.FROZEN in {condition for _, condition in told(pictures, 16)}


def test_a_clock_over_a_quiet_scene_freezes_nothing() -> None:
    wall = scene()
    quiet = [clocked(noisy(wall, 0.5), index // 16, (4, 16)) for index in range(16 * 25)]
    assert told(quiet, 16) == [(0.0, None)]
    assert told(encoded((noisy(each, 1.5) for each in quiet), 16, 30, gop=80), 16) == [(0.0, None)]


@pytest.mark.parametrize("place", [(80, 150), (100, 40), (60, 250)])
def test_somebody_who_moves_a_little_before_a_still_wall_is_not_frozen(place: tuple[int, int]) -> None:
    wall, (y, x) = scene(), place

    def moving() -> Iterator[UInt8Array]:
        for index in seconds(30):
            picture = wall.copy()  # a camera without any noise
            dx = round(6 * np.sin(index / 3))
            cv2.ellipse(picture, (x + dx, y), (12, 16), 0, 0, 360, (210, 170, 150), -1)
            yield picture

    assert Condition.FROZEN not in {condition for _, condition in told(moving())}


@pytest.mark.parametrize("level", [0, 16])
def test_black_is_told_whatever_else_it_is(level: int) -> None:
    black = np.full((90, 160, 3), level, np.uint8)
    changes = told([*(noisy(scene(), 2) for _ in seconds(1)), *(noisy(black, 2) for _ in seconds(30)), scene()])
    assert changes == [(0.0, None), (3.0, Condition.BLACK), (31.0, None)]
    assert told([scene() // 4 + 20] * 8 * 10)[-1][1] is None  # dark, and something is there


def walk(length: int) -> np.ndarray:
    """Cells of pictures in which something moves, each near to the one before, float32 (length, 16, 16)."""
    bumps = RNG.uniform(0, 16, (4, 2)) + np.cumsum(RNG.normal(0, 0.4, (length, 4, 2)), axis=0)
    y, x = np.mgrid[:16, :16]
    light = [np.exp(-((y - a % 16) ** 2 + (x - b % 16) ** 2) / 6) for a, b in bumps.transpose(1, 2, 0)[..., None, None]]
    return np.asarray(100 + 60 * np.sum(light, axis=0), np.float32)


def passes(length_s: float, of: np.ndarray, rate: int) -> Iterator[tuple[float, np.ndarray]]:
    """Sampled frames of a film of `rate` pictures a second that begins anew after so long, with an encoder's errors."""
    count = round(length_s * rate)
    for index in itertools.count():
        yield index / FPS, of[int(index * rate / FPS) % count] + RNG.normal(0, 0.5, (16, 16)).astype(np.float32)


@pytest.mark.parametrize("length_s", [1.3, 2.0, 2.6, 7.32, 31.0, 300.0])
def test_loops_of_any_length_are_found_and_never_before_they_are_ones(length_s: float) -> None:
    finder, film = LoopFinder(), walk(301 * 25)
    found_s = None
    for time_s, cells in passes(length_s, film, 25):
        if finder.see(cells, time_s):
            found_s = time_s
            break
        assert time_s < 4 * length_s + 2 * LOOPED_S
    assert found_s is not None
    assert length_s < found_s < length_s + 2 * LOOPED_S or length_s < 10
    for index, cells in enumerate(walk(8 * 40)):  # and it ends with the loop
        looped = finder.see(cells, found_s + (index + 1) / FPS)
    assert not looped


def blinking(period_s: float, share: float) -> Iterator[UInt8Array]:
    wall = scene()
    for index in seconds(35):
        picture = wall.copy()
        if index / FPS % period_s < period_s * share:
            picture[20:60, 20:60] += 50
        yield noisy(picture, 2)


@pytest.mark.parametrize(("period_s", "share"), [(1.0, 0.5), (4.0, 0.5)])
def test_a_lamp_that_blinks_is_no_loop(period_s: float, share: float) -> None:
    assert told(blinking(period_s, share)) == [(0.0, None)]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> list[UInt8Array]:
    """Forty seconds of a face before a hand-held camera, as decoded from H.264, 16 a second."""
    path = Path(tmp_path_factory.mktemp("film")) / "film.mp4"
    render_synthetic(path, Scene(duration=40, fake_from=99, size=(320, 180), fps=16, seed=0))
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_real_clip_is_a_loop_only_where_it_is_repeated(film: list[UInt8Array]) -> None:
    replayed = encoded(film[: round(16 * 6.3)] * 7, 16, crf=32, gop=47)
    assert told(film, 16, FPS / 4) == [(0.0, None)]
    for sample in (FPS, FPS / 2):
        assert told(film, 16, sample) == [(0.0, None)]
        (_, (found_s, condition)) = told(replayed, 16, sample)
        assert condition is Condition.LOOPED
        assert 6.3 < found_s < 6.3 + LOOPED_S


def test_time_that_goes_back_begins_anew() -> None:
    repeats = Repeats()
    for index in seconds(20):
        condition = repeats.see(np.full((64, 64, 3), 90, np.uint8), index / FPS)
    assert condition is Condition.FROZEN
    assert repeats.see(np.full((64, 64, 3), 90, np.uint8), 0.0) is None


def test_a_live_sources_pump_tells_it(redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, picture = threading.Event(), scene(90, 160)
    for live, condition in ((True, Condition.FROZEN), (False, Condition.LIVE)):
        source = open_source(f"synthetic://?live={int(live)}", Settings().video, "cam")
        frames = (Frame("cam", index, index / 2, time.time(), picture) for index in range(2 * round(FROZEN_S) + 2))
        monkeypatch.setattr(source, "frames", lambda frames=frames: frames)
        pump = Pump(source, Publisher(redis_client, f"cam-{live}", live, Settings(), stop), Settings(), stop)
        pump.run()
        assert pump.status().condition is condition
