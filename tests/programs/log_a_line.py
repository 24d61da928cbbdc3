"""Logs a warning of two lines: FORMAT"""

import logging
import sys

from dfd_core.process.logs import start_logging
from dfd_core.settings import LogSettings

start_logging(LogSettings(sys.argv[1]))
logging.getLogger("dfd.test").warning("%s of %d windows\nlost", 1, 2)
