"""A file that would take all memory or time ends the process that decodes it at most; the next file is scored."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_core.cli.main import main
from dfd_core.errors import SettingsError, VideoError
from dfd_core.process.bounds import why_ended
from dfd_core.settings import Settings
from tests.clips import picture_bytes, write_clip
from tests.test_supervisor import supervise, wait_for
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


def test_a_scan_tells_of_what_takes_too_much_memory_and_goes_on(tmp_path: Path, tiny_model: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), np.zeros((16_000, 16_000), np.uint8))
    (tmp_path / "b.png").write_bytes(picture_bytes("png"))
    words = [f"--set=model.path={tiny_model}", "--set=worker.threads=1", "--set=video.max_memory_bytes=150000000"]
    command = [sys.executable, "-m", "dfd_core.cli", "scan", str(tmp_path), "--json", *words]
    scanned = subprocess.run(command, check=False, capture_output=True, text=True)
    bomb, small = (json.loads(line)["reason"] for line in scanned.stdout.splitlines())
    assert "video.max_memory_bytes" in bomb
    assert small == "no face"


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It takes some seconds of CPU time to look at."""
    return write_clip(tmp_path_factory.mktemp("long") / "a.mp4", frames=1200)


def test_a_scan_gives_up_what_takes_too_much_cpu_time_and_goes_on(
    tmp_path: Path, tiny_model: Path, long_clip: Path
) -> None:
    (tmp_path / "b.png").write_bytes(picture_bytes("png"))
    words = [f"--set=model.path={tiny_model}", "--set=worker.threads=1", "--set=video.max_cpu_s=1"]
    command = [sys.executable, "-m", "dfd_core.cli", "scan", str(long_clip), str(tmp_path), "--json", *words]
    scanned = subprocess.run(command, check=False, capture_output=True, text=True)
    long, small = (json.loads(line)["reason"] for line in scanned.stdout.splitlines())
    assert long.endswith("a.mp4 took more CPU time than video.max_cpu_s (1) allows: it was given up there.")
    assert small == "no face"


def test_cpu_time_ends_a_process_however_it_computes_and_leaves_no_trace_behind() -> None:
    ended = subprocess.run([sys.executable, "-m", "tests.programs.takes_cpu", "1"], check=False, capture_output=True)
    assert ended.returncode == -signal.SIGXCPU
    assert not ended.stderr
    assert why_ended(ended.returncode, 1.0) == "took more CPU time than video.max_cpu_s (1) allows for a file"
    assert why_ended(3, 1.0) == "ended with exit code 3"


@pytest.mark.parametrize(
    ("size", "most", "said"),
    [(999_999_999, 0, "written"), (1_000_000_001, 0, "EFBIG"), (1_500_000_000, 2_000_000_000, "written")],
)
def test_no_file_becomes_longer_than_it_may(size: int, most: int, said: str, tmp_path: Path) -> None:
    words = [str(tmp_path / "sparse"), str(size), str(most)]
    command = [sys.executable, "-m", "tests.programs.writes_much", *words]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == said


def test_a_file_that_takes_too_long_to_read_is_told(redis_url: str) -> None:
    words = ["ingest", "synthetic://?duration=3600", "--redis", redis_url, "--set", "video.max_cpu_s=1"]
    words += ["--set", "metrics.ingest_port=-1", "--set", "queue.file_bytes=1000000000"]
    command = [sys.executable, "-m", "dfd_core.cli", *words]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 1
    said = "The process that read synthetic:// took more CPU time than video.max_cpu_s (1) allows for a file."
    assert ended.stderr.splitlines()[-1] == f"dfd: synthetic: {said}"


@pytest.mark.slow
def test_a_submitted_file_that_takes_too_long_ends_its_worker_and_is_told(
    redis_url: str, tiny_model: Path, long_clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", str(long_clip), "--redis", redis_url, "--set", f"model.path={tiny_model}"]) == 0
    values = {"worker.processes": 0, "worker.bulk_processes": 1, "model.path": str(tiny_model), "video.max_cpu_s": 1.0}
    said = "took more CPU time than video.max_cpu_s (1) allows for a file: it is replaced."
    told = lambda _: wait_for(lambda: said in capfd.readouterr().err)  # noqa: E731
    assert supervise(redis_url, "load_scorer", told, module="dfd_core.judging.scoring", **values) == 0


@pytest.mark.parametrize(
    "values", [{"video.max_cpu_s": 0.5}, {"video.max_cpu_s": -1.0}, {"video.max_memory_bytes": -1}]
)
def test_bounds_that_are_none_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=next(iter(values))):
        Settings().with_values(values)


def test_what_is_free_between_what_is_held_is_given_back() -> None:
    command = [sys.executable, "-m", "tests.programs.gives_back"]
    kept, given = map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert kept > 150  # of 200 MB that were freed
    assert given < 50
