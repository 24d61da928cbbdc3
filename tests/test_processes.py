"""Where a process that runs tests dies, the others run what it left, and no run waits for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(__file__).parent / "programs" / "dying"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dying", "said", "code"),
    [("dies_once.py", "51 passed, 1 rerun", 0), ("dies.py", "1 failed, 49 passed, 1 rerun", 1)],
)
def test_a_process_that_dies_costs_no_other_test(tmp_path: Path, dying: str, said: str, code: int) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for name in ("a1", "a2", "a3", "a4", "a5", "a6", "z1", "z2"):  # so many that some are done when it dies
        (tmp_path / f"test_{name}.py").write_text((PROGRAMS / "good.py").read_text())
    (tmp_path / "test_b.py").write_text((PROGRAMS / dying).read_text())
    command = [sys.executable, "-m", "pytest", "-p", "tests.processes", "-n", "2", "--dist", "loadfile"]
    command += ["--no-loadscope-reorder", "--reruns", "1", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=800, check=False)
    assert said in ended.stdout.splitlines()[-1], ended.stdout
    assert ended.returncode == code
