"""What others may ask of each stream, in the monitor's words."""

from __future__ import annotations

import time

from dfd_core.queue.boards import StreamBoard
from dfd_core.types import State
from workers.monitor.notices import Row
from workers.monitor.runs import Run


def board_of(row: Row, run: Run | None) -> StreamBoard:
    """The row of a stream, and each face that is seen now."""
    return StreamBoard(
        stream=row.stream,
        doing=row.source,
        state=State(row.state),
        text=row.text,
        fake_probability=row.fake_probability,
        time_s=row.time_s,
        latency_s=row.latency_s,
        waiting=row.queue,
        dropped=row.dropped,
        faces=() if run is None or run.done else tuple(run.machine.verdicts()),
        at_s=time.time(),
    )
