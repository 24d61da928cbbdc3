"""Every fault, in the order in which they are tried; to add one is to add a class to one of these files."""

from tests.chaos.fault import Fault
from tests.chaos.faults import cameras, ingest, monitor, redis, workers

FAULTS: tuple[Fault, ...] = (
    *cameras.FAULTS,
    *redis.FAULTS,
    *workers.FAULTS,
    *monitor.FAULTS,
    *ingest.FAULTS,
)
