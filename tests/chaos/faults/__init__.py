"""Every fault, in the order in which they are tried; to add one is to add a class to one of these files."""

from tests.chaos.fault import Fault
from tests.chaos.faults import cameras, clocks, ingest, monitor, overload, redis, workers

FAULTS: tuple[Fault, ...] = (
    *cameras.FAULTS,
    *redis.FAULTS,
    *workers.FAULTS,
    *overload.FAULTS,
    *monitor.FAULTS,
    *ingest.FAULTS,
    *clocks.FAULTS,  # on a system of their own
)
