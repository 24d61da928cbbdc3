"""Finds the processes that read a source each for `dfd ingest`."""

from __future__ import annotations

from pathlib import Path


def fork_server_of(ingest: int) -> int | None:
    """The process from which readers are forked, None before there is one."""
    for child in children(ingest):
        if b"multiprocessing.forkserver" in Path(f"/proc/{child}/cmdline").read_bytes():
            return child
    return None


def readers_of(ingest: int) -> list[int]:
    """The readers, in the order in which they were started."""
    server = fork_server_of(ingest)
    return [] if server is None else sorted(children(server))


def children(pid: int) -> list[int]:
    """The processes that it started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
