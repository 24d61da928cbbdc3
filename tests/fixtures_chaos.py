"""A running system for faults, one for a file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.system import System


@pytest.fixture(scope="module")
def system(gstreamer: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One camera through everything, at work."""
    pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    patient = {"queue__stale_s": 300.0, "queue__payload_ttl_s": 300.0}  # a busy machine scores late
    running = System(tmp_path_factory.mktemp("chaos"), **patient)
    try:
        running.start()
        yield running
    finally:
        running.close()
