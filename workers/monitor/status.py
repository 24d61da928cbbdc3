"""One stream at one moment, for people: what the monitor tells `dfd watch` and what its table shows."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass

from dfd_core.types import StreamState, StreamStatus
from workers.monitor.metrics import SILENT_S
from workers.monitor.runs import Run, on_the_whole
from workers.monitor.sinks import describe

FAILED = "failed"  # a source that could not even be opened


@dataclass(frozen=True, slots=True)
class Row:
    """`source` is what the source does, `state` what is thought of its faces; `time_s` media seconds."""

    stream: str
    source: str
    state: str
    text: str
    fake_probability: float | None
    time_s: float
    fps: float
    latency_s: float | None
    queue: int
    dropped: int
    error: str | None


def row_of(
    stream: str, status: StreamStatus | None, run: Run | None, latency_s: float | None, waiting_windows: int
) -> Row:
    """The row of a stream, as far as ingest (`status`) and the monitor (`run`) know it."""
    verdict = None if run is None else on_the_whole(run.machine) if run.done else run.machine.stream_state()
    text = "" if run is None or verdict is None else run.machine.summary().text if run.done else describe(verdict)
    return Row(
        stream=stream,
        source=_doing(status, run),
        state="unknown" if verdict is None else verdict.state.value,
        text=text,
        fake_probability=None if verdict is None else verdict.fake_probability,
        time_s=0.0 if verdict is None else verdict.time_s,
        fps=0.0 if status is None else status.fps,
        latency_s=latency_s,
        queue=waiting_windows,
        dropped=0 if status is None else sum(status.dropped.values()),
        error=None if status is None else status.error,
    )


def _doing(status: StreamStatus | None, run: Run | None) -> str:
    if run is not None and run.done:
        return StreamState.ENDED.value
    if status is None:
        return StreamState.CONNECTING.value
    if status.state is StreamState.ENDED and not status.run:
        return FAILED
    silent = status.state is not StreamState.ENDED and time.time() - status.heartbeat_at_s > SILENT_S
    return "silent" if silent else status.state.value


def rows_line(rows: list[Row]) -> str:
    """One JSON line without line end."""
    return json.dumps({"event": "rows", "rows": [asdict(row) for row in rows]})


def metrics_line(url: str) -> str:
    """One JSON line that says where /metrics is."""
    return json.dumps({"event": "metrics", "url": url})
