"""The bulk queue: submitted, scored once each, retried, cancelled, told of."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from rq.job import Job
from rq.serializers import JSONSerializer

from dfd_core.detector import scan_file
from dfd_core.errors import SettingsError
from dfd_core.judging.scoring import load_scorer
from dfd_core.queue import keys
from dfd_core.queue.bulk import REASON
from dfd_core.queue.submitted import BulkState
from dfd_core.settings import Settings
from tests.clips import write_clip
from tests.fixtures_bulk import Rig
from workers.bulk import results, runner
from workers.bulk.progress import Rate, picture
from workers.bulk.runner import LiveFirst
from workers.fleet.recovery import Recovery


def test_a_content_is_scored_once_whatever_its_names(rig, clip, tmp_path, capsys):
    assert rig.dfd("submit", clip) == 0
    assert capsys.readouterr().out == "1 queued, 0 known already (same content and model)\n"
    copy = shutil.copy(clip, tmp_path / "copy.mp4")
    assert rig.dfd("submit", tmp_path) == 0
    assert capsys.readouterr().out == "0 queued, 2 known already (same content and model)\n"
    assert rig.book.queue.count == 1
    rig.work()
    assert [rig.entry(path).state for path in (clip, copy)] == [BulkState.DONE] * 2
    assert rig.entry(copy).report["reason"] == "no face"
    rig.dfd("submit", clip)
    assert rig.book.queue.count == 0
    assert rig.redis.keys("rq:job:*") == rig.redis.keys("dfd:bulk:progress") == []


def test_the_report_is_that_of_a_scan_with_the_worst_frames(redis_client, redis_url, scenes, monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)
    rig = Rig(redis_client, redis_url, "")
    rig.dfd("submit", scenes)
    rig.work()
    scorer = load_scorer(rig.settings)
    for name in ("real.mp4", "fake.mp4"):
        report = rig.entry(scenes / name).report
        scanned = json.loads(scan_file(scenes / name, rig.settings, scorer).to_json())
        own = {key: report[key] for key in ("file", "seconds", "scored_at_s")}
        assert report == {**scanned, **own}
    fake, real = rig.entry(scenes / "fake.mp4").report, rig.entry(scenes / "real.mp4").report
    assert (fake["state"], real["state"]) == ("fake", "authentic")
    (pictures,) = rig.book.pictures(entry.file for entry in rig.book.entries()).values()  # of the fake one only
    assert len(pictures) == 3
    assert "jpeg" not in json.dumps([fake, real])  # what `dfd jobs --watch` reads every second
    for shown in pictures:
        image = cv2.imdecode(np.frombuffer(base64.b64decode(shown["jpeg"]), np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (202, 360, 3)
        assert shown["time_s"] > 2
    assert [path.name for path in map(Path, _paths(rig))] == ["fake.mp4", "real.mp4"]


def _paths(rig):
    return [entry.file.path for entry in results.ranked(rig.book.entries())]


def test_what_cannot_be_decoded_is_a_result_and_not_a_failure(rig, tmp_path, capsys):
    (tmp_path / "garbage.mp4").write_bytes(bytes(range(256)) * 9)
    rig.dfd("submit", tmp_path / "garbage.mp4")
    rig.work()
    report = rig.entry(tmp_path / "garbage.mp4").report
    assert report["state"] == "unknown"
    assert "garbage.mp4" in report["reason"]
    assert rig.dfd("jobs") == 0
    capsys.readouterr()
    rig.dfd("results")
    assert "not scorable" in capsys.readouterr().out


def test_a_file_that_went_away_is_tried_again_and_then_fails_with_its_reason(rig, clip, capsys):
    rig.dfd("submit", clip)
    hidden = clip.rename(clip.with_suffix(".gone"))
    rig.work()
    assert rig.entry(clip).state is BulkState.RETRYING
    recovery = Recovery(rig.redis)
    for _ in keys.BULK_BACKOFF_S:
        assert rig.dfd("jobs") == 0  # it may still come right
        _make_due(rig)
        recovery.enqueue_due()
        rig.work()
    assert rig.entry(clip).state is BulkState.FAILED
    capsys.readouterr()
    assert rig.dfd("jobs") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "failed" in said
    assert "is not there for this worker: mount it" in said
    assert rig.dfd("submit", clip) == 1  # it is not there for us either
    hidden.rename(clip)
    rig.dfd("jobs", "retry", clip)
    rig.work()
    assert rig.entry(clip).state is BulkState.DONE
    assert rig.dfd("jobs") == 0


def _make_due(rig):
    key = rig.book.queue.scheduled_job_registry.key
    for job_id, due in rig.redis.zrange(key, 0, -1, withscores=True):
        assert due > time.time()
        rig.redis.zadd(key, {job_id: 1})


def test_a_pause_is_waited_out(rig, clip):
    rig.dfd("submit", clip)
    clip.unlink()
    rig.work()
    Recovery(rig.redis).enqueue_due()
    assert rig.book.counts()[BulkState.RETRYING] == 1
    assert rig.book.queue.count == 0


def test_a_file_that_changed_is_not_scored_under_its_old_name(rig, clip):
    rig.dfd("submit", clip)
    clip.write_bytes(clip.read_bytes() + b"more")
    rig.work()
    assert "has changed since it was submitted: submit it again" in rig.entry(clip).reason
    assert rig.dfd("submit", clip) == 0
    rig.work()
    assert rig.entry(clip).state is BulkState.DONE


def test_another_model_than_the_one_it_waits_for_is_refused(rig, clip):
    rig.dfd("submit", clip)
    rig.work(scorer=load_scorer(Settings()))
    assert "submit it again with the settings of the workers" in rig.entry(clip).reason


def test_roots_may_lie_elsewhere_for_the_worker_and_nothing_else_is_opened(rig, clip, tmp_path, capsys):
    (tmp_path / "ours" / "deep").mkdir(parents=True)
    ours = clip.rename(tmp_path / "ours" / "deep" / "clip.mp4")
    outside = write_clip(tmp_path / "outside.mp4", frames=10)
    roots = f"bulk.roots={tmp_path / 'nowhere'}:{tmp_path / 'ours'}"
    assert rig.dfd("submit", ours, outside, "--set", roots) == 1
    said = capsys.readouterr()
    assert "1 queued, 0 known already (same content and model), 1 left out" in said.out
    assert f"{outside} is below none of bulk.roots" in said.err
    assert rig.entry(ours).file.place == "deep/clip.mp4"
    (tmp_path / "ours").rename(tmp_path / "theirs")
    rig.work(**{"bulk.roots": str(tmp_path / "theirs")})
    assert rig.entry(ours).state is BulkState.DONE
    rig.dfd("submit", outside)  # as somebody might who does not keep to the roots
    rig.work(**{"bulk.roots": str(tmp_path / "theirs")})
    assert "is below none of the worker's bulk.roots" in rig.entry(outside).reason


def test_an_upload_needs_no_shared_folder_and_leaves_nothing_in_redis(rig, clip, tmp_path, capsys):
    big = write_clip(tmp_path / "big.mp4", frames=60, crf=0)
    limit = f"bulk.upload_bytes={clip.stat().st_size}"
    assert rig.dfd("submit", "--upload", clip, big, "--set", limit) == 1
    assert "big.mp4 has" in capsys.readouterr().err
    clip.unlink()
    assert len(rig.redis.keys("dfd:bulk:upload:*")) == 1
    rig.work()
    assert rig.entry(clip).state is BulkState.DONE
    assert rig.redis.keys("dfd:bulk:upload:*") == []


def test_an_upload_that_expired_says_so(rig, clip):
    rig.dfd("submit", "--upload", clip)
    rig.redis.delete(*rig.redis.keys("dfd:bulk:upload:*"))
    rig.work()
    assert "has expired: submit it again" in rig.entry(clip).reason


def test_cancelled_files_are_forgotten(rig, clip, capsys):
    rig.dfd("submit", clip)
    assert rig.dfd("jobs", "cancel", clip) == 0
    assert rig.book.entries() == []
    assert rig.redis.keys("rq:job:*") == []
    assert rig.dfd("jobs", "cancel", clip) == 1
    assert "was not submitted: dfd jobs --json lists what was" in capsys.readouterr().err
    assert rig.dfd("jobs", "cancel") == 1
    assert "Which files?" in capsys.readouterr().err
    rig.dfd("submit", clip)
    rig.work()
    assert rig.dfd("jobs", "cancel", "--all") == 0  # what has a report stays
    assert rig.entry(clip).state is BulkState.DONE


def test_a_content_with_another_name_is_scored_though_one_was_cancelled(rig, clip, tmp_path):
    copy = shutil.copy(clip, tmp_path / "copy.mp4")
    rig.dfd("submit", clip, copy)
    rig.dfd("jobs", "cancel", clip)
    assert rig.entry(copy).state is BulkState.WAITING
    rig.work()
    assert [(e.file.path, e.state) for e in rig.book.entries()] == [(str(copy), BulkState.DONE)]


def test_a_file_that_is_cancelled_while_it_is_scored_stops_there(rig, scenes, monkeypatch):
    monkeypatch.setattr(runner, "PROGRESS_S", 0.0)
    frames, path = [], scenes / "fake.mp4"
    rig.dfd("submit", path)
    told = {}

    def alive():
        frames.append(1)
        if len(frames) == 8:
            told["running"] = rig.entry(path)
            rig.book.cancel([rig.entry(path).file])

    rig.work(alive=alive)
    assert len(frames) == 8
    assert told["running"].state is BulkState.RUNNING
    assert told["running"].progress.duration_s == pytest.approx(7, abs=0.2)
    assert "fake.mp4" in _text(picture([told["running"]], Rate()))
    assert rig.book.entries() == []
    assert rig.redis.keys("dfd:bulk:*") == []


def _text(renderable):
    from rich.console import Console

    console = Console(file=io.StringIO(), width=200)
    console.print(renderable)
    return console.file.getvalue()


def test_folders_are_searched_in_depth_only_when_asked(rig, clip, tmp_path, capsys):
    (tmp_path / "deeper").mkdir()
    write_clip(tmp_path / "deeper" / "other.mp4", frames=10)
    rig.dfd("submit", tmp_path)
    rig.dfd("submit", "--recursive", tmp_path)
    assert capsys.readouterr().out.splitlines() == [
        "1 queued, 0 known already (same content and model)",
        "1 queued, 1 known already (same content and model)",
    ]


def test_live_windows_go_first(rig, monkeypatch):
    class Instant:
        model_name = "instant"

        def score(self, items):
            return [rig.redis.llen(key), *items]

    key = f"rq:queue:{keys.LIVE_QUEUE}"
    rig.redis.rpush(key, "a", "b")
    polls = []
    monkeypatch.setattr(runner.time, "sleep", lambda s: polls.append(rig.redis.lpop(key)))
    scorer = LiveFirst(Instant(), rig.redis)
    assert scorer.score(["window"]) == [0, "window"]
    assert polls == [b"a", b"b"]
    assert scorer.model_name == "instant"


def test_a_worker_that_died_leaves_a_reason(rig, clip):
    rig.dfd("submit", clip)
    job = Job.fetch(rig.entry(clip).file.id, rig.redis, JSONSerializer)
    from rq.exceptions import AbandonedJobError

    from workers.bulk.jobs import scan_failed

    scan_failed(job, rig.redis, AbandonedJobError, AbandonedJobError(), None)
    assert job.get_meta()[REASON].startswith("The worker that scored it died or hung, or the file takes more")


def test_settings_that_leave_no_worker_are_refused():
    with pytest.raises(SettingsError, match="nor both 0"):
        Settings().with_values({"worker.processes": 0, "worker.bulk_processes": 0})


def test_counts_are_those_of_the_entries(rig, clip, tmp_path):
    rig.dfd("submit", clip)
    rig.work()
    rig.dfd("submit", write_clip(tmp_path / "later.mp4", frames=10))
    states = Counter(entry.state for entry in rig.book.entries())
    assert {state: n for state, n in rig.book.counts().items() if n} == dict(states)


def test_tools_of_rq_see_the_queue(rig, clip):
    rig.dfd("submit", clip)
    command = [str(Path(sys.executable).with_name("rq")), "info", "--url", rig.url, "--raw"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "queue dfd-bulk 1" in told
