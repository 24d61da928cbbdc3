"""Takes so many MB of memory under a limit of so many, and says whether it got them: MB LIMIT_MB"""

import resource
import sys

import numpy as np

from dfd_core.process.bounds import limit_memory

wanted, limit = (int(word) * 1_000_000 for word in sys.argv[1:])
limit_memory(limit)
try:
    np.ones(wanted, np.uint8)
    print("taken", resource.getrlimit(resource.RLIMIT_CORE)[0])
except MemoryError:
    print("refused", resource.getrlimit(resource.RLIMIT_CORE)[0])
