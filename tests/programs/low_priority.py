"""Lets others first: itself, or a `child` of its; prints the ids of its processes."""

import multiprocessing
import os
import sys
import threading
import time
from multiprocessing.connection import Connection

from dfd_core.process.guard import end_with_parent
from dfd_core.process.priority import let_others_first, step_aside


def work(pipe: Connection) -> None:
    end_with_parent(0.0)
    step_aside(19)
    pipe.send(os.getpid())
    time.sleep(600)


if __name__ == "__main__":
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    if sys.argv[1] == "child":
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        spawn.Process(target=work, args=(theirs,)).start()
        print(os.getpid(), ours.recv(), flush=True)
    else:
        let_others_first(19)
        print(os.getpid(), flush=True)
    time.sleep(600)
