"""The trainer's child processes: how their end, and their parent's, is told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dfd_core.errors import DataError
from trainer.processes import processes


def test_a_killed_parent_leaves_no_child() -> None:
    command = [sys.executable, "-m", "tests.programs.parent_of_a_resting_child"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = Path("/proc") / next(line.strip() for line in parent.stdout if line.strip())
        assert child.exists()
        parent.kill()
    deadline = time.monotonic() + 60
    while child.exists():
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.1)


def test_a_child_that_dies_is_one_sentence() -> None:
    with pytest.raises(DataError, match="died at its work"), processes(1, int, 1) as pool:
        pool.submit(os._exit).result()


def test_each_process_makes_its_state_once() -> None:
    with processes(2, list, "ab") as pool:
        assert list(pool.map(list.index, ["b", "a", "b"])) == [1, 0, 1]
