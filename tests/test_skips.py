"""A skip that nobody announced is a failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TESTS = """
import pytest

def test_known():
    pytest.skip("needs a camera")

@pytest.mark.skipif(True, reason="needs luck")
def test_unknown():
    pass

@pytest.mark.xfail(raises=ValueError)
def test_expected():
    raise ValueError
"""


def run(folder: Path, *flags: str) -> str:
    (folder / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "-p", "tests.skips", *flags, str(folder)]
    root = Path(__file__).parents[1]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=300).stdout


def test_only_announced_reasons_may_skip(tmp_path: Path) -> None:
    assert "2 skipped, 1 xfailed" in run(tmp_path)
    (tmp_path / "skips").write_text("# hardware\na camera\n")
    told = run(tmp_path, "--skips", str(tmp_path / "skips"))
    assert "1 skipped, 1 xfailed, 1 error" in told
    assert "needs luck" in told
    assert "Nobody announced" in told
