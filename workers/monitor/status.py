"""What is known of one stream at one moment, as a row of a table."""

from __future__ import annotations

from dfd_core.types import StreamState, StreamStatus
from workers.monitor.notices import FAILED, Row
from workers.monitor.runs import Run


def row_of(
    stream: str, status: StreamStatus | None, run: Run | None, latency_s: float | None, *, waiting: int, silent: bool
) -> Row:
    """The row of a stream, as far as ingest (`status`, `silent` for long) and the monitor (`run`) know it."""
    verdict = None if run is None else run.verdict
    return Row(
        stream=stream,
        source=_doing(status, run, silent),
        state="unknown" if verdict is None else verdict.state.value,
        text="" if run is None else run.text,
        fake_probability=None if verdict is None else verdict.fake_probability,
        time_s=0.0 if verdict is None else verdict.time_s,
        fps=0.0 if status is None else status.fps,
        latency_s=latency_s,
        queue=waiting,
        dropped=0 if status is None else sum(status.dropped.values()),
        error=None if status is None else status.error,
    )


def _doing(status: StreamStatus | None, run: Run | None, silent: bool) -> str:
    if run is not None and run.done:
        return StreamState.ENDED.value
    if status is None:
        return StreamState.CONNECTING.value
    if status.state is StreamState.ENDED and not status.run:
        return FAILED
    return "silent" if silent and status.state is not StreamState.ENDED else status.state.value
