"""Computes for good under a limit of one second of CPU time, after work that was within another: [raised]"""

import resource
import sys

from dfd_core.process.bounds import cpu_limit

before = resource.getrlimit(resource.RLIMIT_CPU)
with cpu_limit(60.0):
    sum(range(1000))
assert resource.getrlimit(resource.RLIMIT_CPU) == before
with cpu_limit(float(sys.argv[1])):
    while True:
        pass
