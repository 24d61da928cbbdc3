"""Memory that was freed goes back to the system, and stays once dfd says so."""

import pathlib
import resource

import numpy as np

from trainer.networks.arithmetic import _keep_memory

MIB, SIZE = 2**20, 64


def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / MIB


def left():
    before = resident()
    array = np.ones(SIZE * MIB, np.uint8)
    assert resident() - before > 0.9 * SIZE
    del array
    return resident() - before


assert left() < 0.1 * SIZE
_keep_memory()
assert left() > 0.9 * SIZE
