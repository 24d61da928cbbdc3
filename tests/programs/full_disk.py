"""Writes windows where no file may grow beyond 5 kB, and prints what is said of it."""

import resource
import sys
from pathlib import Path

from dfd_core.errors import DataError
from trainer.data.parts import load_windows, save_windows
from trainer.data.storage import disk_errors

windows = load_windows(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
try:
    with disk_errors(Path(sys.argv[2])):
        save_windows(Path(sys.argv[2]), windows)
except DataError as error:
    print(error)
