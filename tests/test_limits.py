"""What is too large or too long is refused with one sentence that names the setting; ordinary files never are."""

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dfd_core.errors import SettingsError, VideoError
from dfd_core.media import read_frames
from dfd_core.media.limits import FileLimits
from dfd_core.settings import Settings, VideoSettings
from tests.clips import picture_bytes, write_clip
from tests.reading import SETTINGS, read

BOUNDS = {"max_width": 319, "max_height": 239, "max_bytes": 1000, "max_frames": 20, "max_seconds": 1.0}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.mark.parametrize("key", BOUNDS)
def test_each_bound_is_told(clip: Path, key: str) -> None:
    assert len(read(clip)) == 16
    with pytest.raises(VideoError, match=rf"clip\.mp4.*video\.{key}") as caught:
        read(clip, replace(SETTINGS, **{key: BOUNDS[key]}))
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))


def test_what_was_read_until_then_counts(clip: Path) -> None:
    frames = read_frames(str(clip), "s", replace(SETTINGS, max_seconds=1.0))
    taken = [next(frames) for _ in range(8)]
    assert taken[-1].time_s < 1.0


def test_pictures_have_bounds_too(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture_bytes("png"))
    with pytest.raises(VideoError, match="200 x 100 px"):
        read(tmp_path / "a.png", replace(SETTINGS, max_width=199))


def test_time_counts_what_decoding_takes_and_nothing_else() -> None:
    def slow(count: int, each_s: float):  # type: ignore[no-untyped-def]
        for n in range(count):
            time.sleep(each_s)
            yield n

    with pytest.raises(VideoError, match=r"video\.max_decode_s"):
        list(FileLimits("a", replace(SETTINGS, max_decode_s=0.05)).timed(slow(10, 0.02)))
    for _ in FileLimits("a", replace(SETTINGS, max_decode_s=5.0)).timed(slow(3, 0.0)):
        time.sleep(0.01)


@pytest.mark.parametrize("key", [*BOUNDS, "max_decode_s"])
def test_bounds_are_above_zero(key: str) -> None:
    with pytest.raises(SettingsError, match=key):
        Settings(video=replace(VideoSettings(), **{key: 0}))
