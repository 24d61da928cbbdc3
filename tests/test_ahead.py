"""Reading ahead changes when things are made, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfd_core.detector import scan_file
from dfd_core.errors import VideoError
from dfd_core.judging.scoring import load_scorer
from dfd_core.media.ahead import ahead
from dfd_core.settings import Settings
from ingest.sources.synthetic import Scene, render_synthetic

PATIENCE_S = 60.0


def test_all_come_in_order_and_then_the_error() -> None:
    def items() -> Iterator[int]:
        yield from range(50)
        raise VideoError("cut off")

    read = ahead(items(), 3)
    assert [next(read) for _ in range(50)] == list(range(50))
    with pytest.raises(VideoError, match="cut off"):
        next(read)


def test_it_is_as_far_ahead_as_it_may_be_and_no_further() -> None:
    made, far = [], threading.Event()

    def items() -> Iterator[int]:
        for n in range(100):
            made.append(n)
            if n == 4:  # one is with the consumer, three wait, and this one has no room
                far.set()
            yield n

    read = ahead(items(), 3)
    assert next(read) == 0
    assert far.wait(PATIENCE_S)
    assert made == [0, 1, 2, 3, 4]
    read.close()
    assert made == [0, 1, 2, 3, 4]
    assert not [thread for thread in threading.enumerate() if thread.name == "dfd-ahead"]


def test_a_scan_that_reads_ahead_reports_the_same(tmp_path: Path) -> None:
    path, settings = tmp_path / "scene.mp4", Settings()
    render_synthetic(path, Scene(duration=4, fake_from=2, size=(320, 240), fps=8))
    scorer, seen = load_scorer(settings), list[float]()
    plain = scan_file(path, settings, scorer).to_dict()
    found = scan_file(path, settings, scorer, seen.append, ahead=True).to_dict()
    assert found | {key: plain[key] for key in ("scored_at_s", "seconds")} == plain
    assert seen == [n / 8 for n in range(32)]
