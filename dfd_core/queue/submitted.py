"""A file that was submitted to the bulk queue, and what is known of it: records without Redis."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dfd_core.queue import records


@dataclass(frozen=True, slots=True)
class BulkFile:
    """A file as it was submitted; `columns` are those of the manifest that named it.

    `path` is what people call it, `absolute` where that is for the submitter, links resolved. The worker opens `place`:
    absolute, or below one of its `bulk.roots`; it is empty where the content waits in Redis. `digest` is the SHA-256 of
    the content (hex), `size` its bytes. `manifest` is the absolute path of the one that named it, if any, and `nth`
    counts the equal rows in there.
    """

    path: str
    place: str
    digest: str
    size: int
    model: str
    submitted_at_s: float
    absolute: str
    columns: dict[str, str] = field(default_factory=dict)
    manifest: str = ""
    nth: int = 0

    @property
    def key(self) -> str:
        """Name of its row: no other file, content, model or row of a manifest has it."""
        row = [self.absolute, self.digest, self.model, self.manifest, self.nth, sorted(self.columns.items())]
        return hashlib.sha256(json.dumps(row).encode()).hexdigest()

    @property
    def id(self) -> str:
        """Name of its job and of its report, the same for equal content and model."""
        return f"bulk-{self.digest[:32]}-{hashlib.sha256(self.model.encode()).hexdigest()[:8]}"


class BulkState(StrEnum):
    """Where a file is on its way."""

    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"  # waits for another attempt, later
    FAILED = "failed"  # no attempt is left
    DONE = "done"
    LOST = "lost"  # its job has vanished from Redis: retry it


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a worker is in a file: media seconds, of `duration_s` (None: unknown)."""

    time_s: float
    duration_s: float | None
    started_at_s: float
    worker: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A submitted file and what is known of it; `reason`: why its last attempt failed."""

    file: BulkFile
    state: BulkState
    report: dict[str, Any] | None = None
    progress: Progress | None = None
    reason: str | None = None


def parse_file(data: object) -> BulkFile:
    """The file in a job's keyword argument; WireError if it is not one of this version."""
    return records.build(BulkFile, records.versioned(data))


def load_file(data: bytes) -> BulkFile:
    """The file in a value of `dfd:bulk:files`; WireError likewise."""
    return records.build(BulkFile, records.loads(data))
