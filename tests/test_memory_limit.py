"""A file that would take all memory ends the process that decodes it at most; the next file is scored."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_core.errors import VideoError
from dfd_core.settings import Settings
from tests.clips import picture_bytes
from workers.serve.pool import ScorePool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux counts what is mapped")


@pytest.mark.parametrize(
    ("wanted", "limit", "said"), [(900, 600, "refused 0"), (900, 8000, "taken 0"), (900, 0, "taken 0")]
)
def test_no_more_than_the_limit_is_had_and_no_core_is_left(wanted: int, limit: int, said: str) -> None:
    command = [sys.executable, "-m", "tests.programs.takes_memory", str(wanted), str(limit)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == said


def test_a_picture_that_takes_too_much_is_refused_and_the_next_is_scored(tmp_path: Path, tiny_model: Path) -> None:
    bomb, small = tmp_path / "bomb.png", tmp_path / "small.png"
    assert cv2.imwrite(str(bomb), np.zeros((16_000, 16_000), np.uint8))
    assert bomb.stat().st_size < 2_000_000  # and 256 MB once it is decoded
    small.write_bytes(picture_bytes("png"))
    values = {"model.path": str(tiny_model), "worker.threads": 1, "video.max_memory_bytes": 400_000_000}
    pool = ScorePool(Settings().with_values(values))
    try:
        with pytest.raises(VideoError, match=r"bomb\.png cannot be scored: the process that scored it died\."):
            pool.score(str(bomb), "bomb.png")
        assert "no face" in str(pool.score(str(small), "small.png").reason)
    finally:
        pool.close()
