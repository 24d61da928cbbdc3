"""Who lets others first, does so before other sessions too."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_supervisor import wait_for

PROGRAM = Path(__file__).parent / "programs" / "low_priority.py"


def start(role: str) -> tuple[subprocess.Popen[str], list[int]]:
    """The program in a session of its own, and the ids of its processes: its own, its child's."""
    program = [sys.executable, str(PROGRAM), role]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    return process, [int(word) for word in process.stdout.readline().split()]


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def of_session(pid: int) -> str:
    """How nice its session is, where the kernel shares by sessions."""
    path = Path(f"/proc/{pid}/autogroup")
    if not path.exists():
        pytest.skip("this kernel does not group processes by session")
    return path.read_text().split()[-1]


def test_a_session_is_as_nice_as_the_process_that_leads_it() -> None:
    process, (pid,) = start("alone")
    try:
        threads = {int(name) for name in os.listdir(f"/proc/{pid}/task")}
        assert len(threads) >= 2
        assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads} == {19}
        assert of_session(pid) == "5"
    finally:
        end(process)


def test_a_child_that_is_out_of_the_way_leaves_its_parents_session_as_it_is_and_dies_with_it() -> None:
    process, (pid, child) = start("child")
    try:
        assert os.getsid(child) == child
        assert os.getpriority(os.PRIO_PROCESS, child) == 19
        assert (of_session(pid), of_session(child)) == ("0", "5")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split())
    finally:
        end(process)
