"""The most telling faults of cameras and ingest, put into a running system; `make chaos` tries all."""

import pytest

from tests.chaos.fault import Fault, attempted
from tests.chaos.faults import cameras, ingest
from tests.chaos.system import System

PATIENCE = 12.0  # other tests run at the same time: here a fault must be survived, in time or not
BRIEF = [fault for fault in (*cameras.FAULTS, *ingest.FAULTS) if fault.brief]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fault", BRIEF, ids=lambda fault: fault.name)
def test_a_fault_is_seen_and_survived(fault: Fault, system: System) -> None:
    assert attempted(fault, system, PATIENCE).wrong == ()


def test_no_password_was_told(system: System) -> None:
    assert not system.told_secrets()
