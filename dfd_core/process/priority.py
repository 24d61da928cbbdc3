"""Work that can wait lets live work go first.

Linux shares the processor among sessions first (autogroup, on by default in most distributions), and niceness weighs
processes of one session only. So who is to be out of everybody's way leads a session of its own, which is made nicer
as a whole. In containers neither crosses their walls: give those a weight there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_AUTOGROUP, _TASKS = Path("/proc/self/autogroup"), Path("/proc/self/task")
_SESSION = 5  # at most: a third of another one's share; whoever gets much less is killed for being slow


def let_others_first(niceness: int) -> None:
    """Be nicer by `niceness`, up to 19: all threads, what they start, and the session if this process leads it."""
    own = os.nice(niceness)
    for thread in _TASKS.iterdir() if _TASKS.is_dir() else ():  # nice() is for the one that calls
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, int(thread.name), own)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # no such grouping here, or not ours to set
            _AUTOGROUP.write_text(str(min(own, _SESSION)), encoding="ascii")


def step_aside(niceness: int) -> None:
    """The same in a session of its own, for a process that another one started to do what can wait.

    What is sent to its former group does not reach it any more: `end_with_parent` sees to its end.
    """
    os.setsid()
    let_others_first(niceness)
