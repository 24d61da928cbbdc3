"""A thousand files, and workers that are killed at random: a thousand results, none twice."""

from __future__ import annotations

import os
import random
import signal
import struct
import time

import pytest

from dfd_core.cli.main import main
from dfd_core.queue import keys
from dfd_core.queue.bulk import BulkQueue
from dfd_core.queue.submitted import BulkState
from tests.clips import write_clip
from tests.test_supervisor import busy_pids, supervise, wait_for

FILES = 1000
KILLS = 6


@pytest.mark.slow
def test_a_thousand_files_and_workers_killed_at_random(redis_client, redis_url, tiny_model, tmp_path, monkeypatch):
    folder = tmp_path / "files"
    folder.mkdir()
    clip = write_clip(tmp_path / "clip.mp4", frames=8, size=(160, 120)).read_bytes()
    for number in range(FILES):  # an empty box after the video makes each content its own
        (folder / f"{number:04}.mp4").write_bytes(clip + struct.pack(">I4sI", 12, b"free", number))
    monkeypatch.setattr(keys, "BULK_BACKOFF_S", (1, 2, 3, 4, 5))
    assert main(["submit", str(folder), "--redis", redis_url, "--set", f"model.path={tiny_model}"]) == 0
    book, chance, killed = BulkQueue(redis_client), random.Random(1), []

    def done():
        return redis_client.hlen(keys.BULK_REPORTS_KEY)

    def script(supervisor):
        while len(killed) < KILLS:
            before = done()
            wait_for(lambda at=before: done() >= at + 40 + chance.randrange(40))
            pid = chance.choice(wait_for(lambda: busy_pids(redis_client, supervisor)))
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
        deadline = time.monotonic() + 600
        while done() < FILES and time.monotonic() < deadline:
            time.sleep(0.2)

    values = {"worker.processes": 0, "worker.bulk_processes": 2, "model.path": str(tiny_model)}
    assert supervise(redis_url, "load_scorer", script, module="dfd_core.judging.scoring", **values) == 0
    entries = book.entries()
    assert len(killed) == KILLS
    assert len(entries) == FILES
    assert {entry.state for entry in entries} == {BulkState.DONE}
    assert {entry.report["reason"] for entry in entries} == {"no face"}
    assert done() == FILES
    assert redis_client.keys("rq:job:*") == []
