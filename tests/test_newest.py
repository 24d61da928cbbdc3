"""Newest first: what waits for a slow consumer of a live stream."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from dfd_core.errors import VideoError
from dfd_core.media.newest import NewestFrames
from dfd_core.types import Frame
from tests.test_sources import drains, wait_for


def numbered(count: int) -> Iterator[Frame]:
    return (Frame("s", n, n / 8, 0.0, np.zeros((2, 2, 3), np.uint8)) for n in range(count))


def test_a_slow_consumer_gets_the_newest_and_the_rest_is_counted() -> None:
    newest = NewestFrames(lambda stop: numbered(100), fps=8)
    frames = iter(newest)
    first = next(frames)
    wait_for(lambda: not drains())
    rest = [frame.index for frame in frames]
    assert rest[-3:] == [97, 98, 99]
    assert len(rest) <= 2 * 8
    assert newest.dropped == 100 - len(rest) - 1
    assert first.index < 97


def kept_of(times_s: list[float], side: int = 2) -> list[int]:
    """Which frames of those that come at these times are left for who takes none meanwhile."""
    clock = iter(times_s)
    pixels = np.broadcast_to(np.uint8(0), (side, side, 3))
    frames = (Frame("s", n, n / 8, 0.0, pixels) for n in range(len(times_s)))
    newest = NewestFrames(lambda stop: frames, fps=8, clock=lambda: next(clock))
    newest._drain()
    kept = []
    while (frame := newest._next()) is not None:
        kept.append(frame.index)
    assert newest.dropped == len(times_s) - len(kept)
    return kept


@pytest.mark.parametrize(
    ("times_s", "side", "kept"),
    [
        pytest.param([n / 8 for n in range(9)], 2, range(9), id="a second of frames waits"),
        pytest.param([n / 8 for n in range(24)], 2, range(15, 24), id="of three seconds the last"),
        pytest.param([5.0] * 16, 2, range(16), id="two seconds of frames come at once"),
        pytest.param([5.0] * 20, 2, range(4, 20), id="more than that"),
        pytest.param([0.0, 0.125, 0.25, 2.0, 2.0, 2.0], 2, range(3, 6), id="what waited while reading was held up"),
        pytest.param([5.0] * 16, 3000, range(13, 16), id="large pictures"),
        pytest.param([5.0] * 3, 6000, [2], id="one picture that is larger than all that may wait"),
    ],
)
def test_what_waits_for_a_slow_consumer_is_bounded_in_age_number_and_bytes(times_s, side, kept) -> None:
    assert kept_of(times_s, side) == list(kept)


def test_an_error_in_the_thread_reaches_the_consumer() -> None:
    def produce(stop: threading.Event) -> Iterator[Frame]:
        yield from numbered(2)
        raise VideoError("The film is torn.")

    with pytest.raises(VideoError, match="The film is torn"):
        list(NewestFrames(produce, fps=8))
