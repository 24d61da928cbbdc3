"""Starts a child that leaves, and others that are blocked for good, each in its way; prints how the one ended and who
the others are, and rests: spawned|forked WAY..."""

import atexit
import ctypes
import os
import signal
import sys
import threading
import time

from dfd_core.process.children import SPAWN
from dfd_core.process.guard import end_with_parent, leave
from ingest.reader import FORKED

GRACE_S = 0.5


def in_a_lock():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def in_native_code():
    ctypes.CDLL(None).sleep(3600)


def in_native_code_that_holds_the_lock():
    """No other thread of Python runs, nor does a signal end the wait: read() begins again after it."""
    receiving, _sending = os.pipe()
    ctypes.PyDLL(None).read(receiving, ctypes.create_string_buffer(1), 1)


def deaf():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1)


def at_its_end():
    threading.Thread(target=time.sleep, args=(3600,)).start()  # which Python waits for before it ends
    sys.exit()


def life(block, pipe):
    end_with_parent(GRACE_S)
    pipe.send(block.__name__)
    block()


def leaves(pipe):
    """One whose exit handlers never end, of which it has nothing to fear."""
    atexit.register(time.sleep, 3600)
    pipe.send("leaves")
    leave()


if __name__ == "__main__":
    how, *names = sys.argv[1:]
    context = {"spawned": SPAWN, "forked": FORKED}[how]
    receiving, sending = context.Pipe(duplex=False)
    children = [context.Process(target=life, args=(globals()[name], sending)) for name in names]
    left = context.Process(target=leaves, args=(sending,))
    for child in (*children, left):
        child.start()
    for _ in (*children, left):
        receiving.recv()
    left.join(60)
    print(left.exitcode, *(child.pid for child in children), flush=True)
    time.sleep(600)
