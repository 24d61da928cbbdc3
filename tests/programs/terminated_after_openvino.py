"""Runtimes are opened and closed in the same order, and then comes a SIGTERM."""

import faulthandler
import signal

from dfd_core.models.runtime import open_runtime
from dfd_core.models.store import SHIPPED

faulthandler.enable()
for _ in range(2):
    first = open_runtime(SHIPPED, "openvino", 1)
    second = open_runtime(SHIPPED, "openvino", 1, texture=True)
    del first
    del second
signal.signal(signal.SIGTERM, lambda *_: print("told"))
signal.raise_signal(signal.SIGTERM)
