"""Prints the id of a child that then rests, and waits for it."""

import os
import time

from trainer.processes import processes


def rest(pid):
    time.sleep(600)


if __name__ == "__main__":
    with processes(1, os.getpid) as pool:
        print(pool.submit(int).result(), flush=True)
        pool.submit(rest).result()
