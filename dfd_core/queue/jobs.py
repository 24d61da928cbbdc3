"""RQ's jobs, as far as we take them: those that name our own functions, so that no text in Redis is imported or called.

RQ imports whatever a job names as its function or callbacks, and requests whatever URL it names as a webhook. Who can
write to Redis could so run code in each worker, and in whoever cleans up after one.
"""

from __future__ import annotations

from typing import Any

from rq.exceptions import DeserializationError
from rq.job import Job

from dfd_core.errors import WireError
from dfd_core.queue import keys

FUNCTIONS = frozenset({keys.JOB_FUNCTION, keys.BULK_FUNCTION, "workers.jobs.score_window"})
CALLBACKS = frozenset({keys.FAILURE_FUNCTION, keys.BULK_FAILURE_FUNCTION, "workers.jobs.window_failed"})


class OwnJob(Job):
    """A job whose function is one of FUNCTIONS and whose callbacks are of CALLBACKS; others are left out."""

    def restore(self, raw_data: Any) -> None:
        """Read from Redis what it is made of."""
        super().restore(raw_data)
        for name in ("_success_callback_name", "_failure_callback_name", "_stopped_callback_name"):
            if getattr(self, name, None) not in CALLBACKS:
                setattr(self, name, None)

    @property
    def func(self) -> Any:
        """Its function; WireError where that is none of ours."""
        check_function(self)
        return super().func

    def send_webhooks(self, status: Any, *, exc_string: str | None = None) -> None:
        """None: dfd's jobs have none."""


def check_function(job: Job) -> None:
    """WireError where its function is none of ours, or its data are no JSON of RQ."""
    try:
        known = job.instance is None and job.func_name in FUNCTIONS
    except (DeserializationError, ValueError, TypeError):
        known = False
    if not known:
        raise WireError("A job in Redis names a function that is none of dfd's: it is not run.")
