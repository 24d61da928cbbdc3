"""What the commands promise: failed files go again when submitted again, nothing is left out in silence, codes tell."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest

from dfd_core.cli.main import main
from dfd_core.cli.scan import exit_code, summary
from dfd_core.judging.report import Report
from dfd_core.judging.scoring import load_scorer
from dfd_core.models.store import sha256_of
from dfd_core.queue import keys, records
from dfd_core.queue.submitted import BulkState
from dfd_core.reporting.page import PageRow, html_page
from dfd_core.reporting.report import Picture
from dfd_core.settings import Settings
from dfd_core.types import State
from tests.clips import write_clip
from tests.test_scan import portrait
from workers.bulk.runner import BulkRunner
from workers.fleet.recovery import Recovery

QUEUED, KNOWN = (f"{n} known already (same content and model)\n" for n in ("1 queued, 0", "0 queued, 1"))


def make_fail(rig):
    """Let every attempt at what waits come to its end."""
    recovery = Recovery(rig.redis)
    rig.work()
    for _ in keys.BULK_BACKOFF_S:
        key = rig.book.queue.scheduled_job_registry.key
        rig.redis.zadd(key, dict.fromkeys(rig.redis.zrange(key, 0, -1), 1), xx=True)
        recovery.enqueue_due()
        rig.work()


def hide(rig, clip):
    rig.dfd("submit", clip)
    clip.rename(clip.with_suffix(".hidden"))


def fail(rig, clip):
    hide(rig, clip)
    make_fail(rig)
    assert rig.entry(clip).state is BulkState.FAILED


def be_retried(rig, clip):
    hide(rig, clip)
    rig.work()
    assert rig.entry(clip).state is BulkState.RETRYING


def get_lost(rig, clip):
    hide(rig, clip)
    rig.redis.delete(*rig.redis.keys("rq:job:*"), rig.book.queue.key)
    assert rig.entry(clip).state is BulkState.LOST


@pytest.mark.parametrize("trouble", [fail, be_retried, get_lost])
@pytest.mark.parametrize("name", ["clip.mp4", "moved.mp4"])
@pytest.mark.parametrize("upload", [False, True])
def test_what_did_not_come_through_is_queued_anew_at_its_new_place(trouble, name, upload, rig, clip, capsys):
    trouble(rig, clip)
    new = clip.with_suffix(".hidden").rename(clip.with_name(name))
    capsys.readouterr()
    assert rig.dfd("submit", *(["--upload"] if upload else []), new) == 0
    assert capsys.readouterr().out == QUEUED
    if upload:
        new.unlink()
    rig.work()
    assert [entry.state for entry in rig.book.entries()] == [BulkState.DONE] * len(rig.book.entries())
    assert rig.dfd("jobs") == 0
    assert rig.redis.keys("dfd:bulk:upload:*") == []


def test_what_waits_or_was_scored_is_known(rig, clip, capsys):
    rig.dfd("submit", clip)
    rig.dfd("submit", clip)
    rig.work()
    rig.dfd("submit", clip)
    assert capsys.readouterr().out == QUEUED + KNOWN + KNOWN


def test_a_file_that_was_moved_while_it_waited_is_found_at_its_new_place(rig, clip, capsys):
    rig.dfd("submit", clip)
    moved = clip.rename(clip.with_name("moved.mp4"))
    rig.dfd("submit", moved)
    assert capsys.readouterr().out == QUEUED + KNOWN
    rig.work()
    assert {entry.file.path: entry.state for entry in rig.book.entries()} == dict.fromkeys(
        [str(clip), str(moved)], BulkState.DONE
    )


def test_a_file_that_was_overwritten_waits_no_more_for_its_old_content(rig, clip):
    rig.dfd("submit", clip)
    write_clip(clip, frames=8)
    rig.dfd("submit", clip)
    rig.work()
    assert [entry.state for entry in rig.book.entries()] == [BulkState.DONE]
    write_clip(clip, frames=6)
    rig.dfd("submit", clip)
    rig.work()
    assert [entry.state for entry in rig.book.entries()] == [BulkState.DONE] * 2  # what was found stays


def test_an_expired_upload_submitted_again_is_sent_again(rig, clip, capsys):
    rig.dfd("submit", "--upload", clip)
    rig.redis.delete(*rig.redis.keys("dfd:bulk:upload:*"))
    make_fail(rig)
    capsys.readouterr()
    rig.dfd("submit", "--upload", clip)
    assert capsys.readouterr().out == QUEUED
    rig.work()
    assert rig.entry(clip).state is BulkState.DONE


def test_an_upload_belongs_to_its_content_and_model_and_stays_for_nobody(rig, clip):
    rig.dfd("submit", "--upload", clip)
    main(["submit", "--upload", str(clip), "--redis", rig.url])  # for the shipped model too
    clip.unlink()
    assert len(rig.redis.keys("dfd:bulk:upload:*")) == 2
    rig.work()
    assert len(rig.redis.keys("dfd:bulk:upload:*")) == 1  # the other model still waits for it
    make_fail(rig)  # this worker's model is not that one's
    assert sorted(entry.state for entry in rig.book.entries()) == ["done", "failed"]
    rig.dfd("jobs", "retry", "--all")
    rig.work(scorer=load_scorer(Settings()))
    assert [entry.state for entry in rig.book.entries()] == [BulkState.DONE] * 2
    assert rig.redis.keys("dfd:bulk:upload:*") == []


def test_an_upload_of_what_was_scored_is_not_sent(rig, clip):
    rig.dfd("submit", clip)
    rig.work()
    rig.dfd("submit", "--upload", clip)
    assert rig.redis.keys("dfd:bulk:upload:*") == []


def test_an_upload_helps_a_job_that_waits_for_a_place(rig, clip):
    rig.dfd("submit", clip)
    rig.dfd("submit", "--upload", clip)
    clip.unlink()
    rig.work()
    assert rig.entry(clip).state is BulkState.DONE
    assert rig.redis.keys("dfd:bulk:upload:*") == []


def test_hashing_shows_that_it_lives(rig, tmp_path):
    path = tmp_path / "large.mp4"
    with path.open("wb") as file:
        file.truncate(20 * 2**20)
    calls = []
    assert sha256_of(path, lambda: calls.append(1)) == sha256_of(path)
    assert len(calls) == 20
    rig.dfd("submit", path)
    calls.clear()
    entry = rig.entry(path)
    BulkRunner(rig.redis, load_scorer(rig.settings), rig.settings, "w", lambda: calls.append(1)).run(entry.file)
    assert len(calls) == 20  # it is no video: hashing is all there was


HOSTILE = "\"><script>alert('1')</script>"


def hostile_row():
    report = Report(HOSTILE, State.FAKE, HOSTILE, 0.9, reason=HOSTILE, model=HOSTILE, notes=(HOSTILE,))
    return PageRow(HOSTILE, report, [Picture(1.0, 0.9, HOSTILE)], [(HOSTILE, HOSTILE)])


def test_nothing_in_a_report_gets_out_of_its_place_in_the_page():
    page = html_page([hostile_row()], Settings())
    assert "<script>alert" not in page
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;alert(&#39;1&#39;)") >= 9
    assert page.count("<script>") == 1  # the page's own


@pytest.mark.parametrize(
    "spoil",
    [
        lambda report: {**report, "fake_probability": "<b>"},
        lambda report: {**report, "state": "fine"},
        lambda report: {**report, "timeline": [["a", "b"]]},
        lambda report: {**report, "checks": 7},
        lambda report: {"file": 1},
    ],
)
def test_a_foreign_report_is_one_sentence(spoil, rig, clip, capsys):
    rig.dfd("submit", clip)
    rig.work()
    report = spoil(rig.entry(clip).report)
    rig.redis.hset(keys.BULK_REPORTS_KEY, rig.entry(clip).file.id, records.dumps(report))
    capsys.readouterr()
    for kind in ("table", "csv", "jsonl", "html"):
        assert rig.dfd("results", "--format", kind) == 1
        assert re.fullmatch(r"dfd: This is no report of this version of dfd .*\n", capsys.readouterr().err)
    assert rig.dfd("jobs") == 0


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    cv2.imwrite(str(folder / "face.png"), cv2.cvtColor(portrait(), cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(folder / "wall.png"), np.full((120, 160, 3), 90, np.uint8))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


@pytest.mark.parametrize(
    ("names", "code", "line"),
    [
        (["face.png"], 0, "1 file: 1 scored, 0 fake"),
        (["face.png", "wall.png"], 2, "2 files: 1 scored, 0 fake, 1 not scorable (1 no face)"),
        (["wall.png"], 1, "1 file: 0 scored, 0 fake, 1 not scorable (1 no face)"),
        (["wall.png", "broken.png", "gone.png"], 1, "3 files: 0 scored, 0 fake, 3 not scorable (1 no face; 1 "),
    ],
)
def test_the_code_and_the_last_line_of_a_scan(names, code, line, pictures, tiny_model, capsys):
    words = ["scan", *(str(pictures / name) for name in names), "--set", f"model.path={tiny_model}"]
    assert main(words) == code
    assert capsys.readouterr().out.splitlines()[-1].startswith(line)
    assert main([*words, "--json"]) == code
    said = capsys.readouterr()
    assert said.err.splitlines()[-1].startswith(line)
    assert len([json.loads(text) for text in said.out.splitlines()]) == len(names)


def test_what_was_scored_in_part_is_told():
    whole = Report("a.mp4", State.FAKE, "fake", 0.9)
    part = replace(whole, state=State.AUTHENTIC, fake_probability=0.1, partial=True, reason="read to 0:03 of 0:12")
    assert summary([whole, part]) == "2 files: 2 scored, 1 fake, 1 read in part"
    assert (exit_code([whole]), exit_code([whole, part]), exit_code([part])) == (0, 2, 2)


def test_a_scan_writes_the_page_of_the_queue(pictures, tiny_model, tmp_path, capsys):
    out = tmp_path / "report.html"
    words = ["scan", str(pictures), "--out", str(out), "--set", f"model.path={tiny_model}"]
    assert main([*words, "--set", "verdict.enter=0.0001", "--set", "verdict.exit=0.0001"]) == 2
    page = out.read_text(encoding="utf-8")
    assert page.count("<tr><td") == 3
    assert "wall.png" in page
    for wrong in ("report.csv", "no/folder/report.html"):
        assert main(["scan", str(pictures), "--out", str(tmp_path / wrong)]) == 1
        assert "give the name of an HTML page" in capsys.readouterr().err


def test_a_scan_whose_reader_goes_away_is_silent(pictures, tiny_model, tmp_path):
    for number in range(40):
        shutil.copy(pictures / "wall.png", tmp_path / f"{number}.png")
    words = ["scan", "--json", str(tmp_path), "--set", f"model.path={tiny_model}"]
    command = [sys.executable, "-m", "dfd_core.cli", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline())["reason"] == "no face"
        process.stdout.close()
        said = [line for line in process.stderr.read().splitlines() if not line.startswith(b"INFO: ")]  # LiteRT's own
        assert said == []
        assert process.wait(timeout=60) == 141


def test_methods_in_the_manifest_are_data_for_the_picture_too(pictures, tiny_model, tmp_path):
    names = ["$\\frac{", "_hidden", "a[/b]", "$x$"]
    rows = [["face.png", "fake", name] for name in names] + [["face.png", "real", ""]]
    with (pictures / "methods.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([["file", "label", "method"], *rows])
    words = ["evaluate", str(pictures / "methods.csv"), "--out", str(tmp_path), "--bootstrap", "20"]
    with warnings.catch_warnings():
        warnings.simplefilter("default", DeprecationWarning)  # of matplotlib's own dependencies
        assert main([*words, "--set", f"model.path={tiny_model}"]) == 0
    assert (tmp_path / "roc.png").read_bytes().startswith(b"\x89PNG")
    assert set(json.loads((tmp_path / "report.json").read_text())["groups"]["method"]) == {"", *names}


def test_what_no_figure_counts_is_told_by_class_and_reason(pictures, tiny_model, tmp_path, capsys):
    rows = ["face.png,real", "face.png,fake", "wall.png,fake", "broken.png,fake", "wall.png,real"]
    manifest = pictures / "m.csv"
    manifest.write_text("\n".join(["file,label", *rows]) + "\n")
    words = ["--bootstrap", "20", "--set", f"model.path={tiny_model}"]
    assert main(["evaluate", str(manifest), "--out", str(tmp_path), *words]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["unscored"]["real"] == {"no face": 1}
    assert sum(report["unscored"]["fake"].values()) == 2
    assert all("broken.png" not in reason for reason in report["unscored"]["fake"])
    said = capsys.readouterr().out
    assert "2 of 5 files scored; not scored: 1 real (1 no face); not scored: 2 fake (1 no face, 1 " in said
    manifest.write_text("\n".join(["file,label", *rows, "gone.png,fake"]) + "\n")
    assert main(["evaluate", str(manifest), "--out", str(tmp_path), *words]) == 1
    assert "1 the file is missing" in capsys.readouterr().out
