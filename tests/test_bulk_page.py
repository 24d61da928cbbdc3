"""What `dfd results` writes: every format, and the page in a real browser."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess

import pytest

from dfd_core.errors import QueueError
from dfd_core.judging.report import Report
from dfd_core.reporting.page import PageRow, html_page
from dfd_core.settings import Settings
from dfd_core.types import State
from tests.clips import write_clip
from tests.fixtures_bulk import Rig
from workers.bulk import results

CHROMIUM = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)


def results_args(*words):
    import argparse

    parser = argparse.ArgumentParser()
    results.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture(scope="module")
def page(scenes, tmp_path_factory, valkey_url):
    """The results of both scenes and of a file with a hostile name, by the shipped model, as one page."""
    from redis import Redis

    folder = tmp_path_factory.mktemp("page")
    hostile = folder / "<img src=x onerror=alert(1)>.mp4"
    write_clip(hostile, frames=10)
    with Redis.from_url(valkey_url) as redis, pytest.MonkeyPatch.context() as patch:
        redis.flushall()
        patch.setattr("signal.signal", lambda *_: None)
        rig = Rig(redis, valkey_url, "")
        rig.dfd("submit", scenes, hostile)
        rig.work()
        out = folder / "page.html"
        rig.dfd("results", "--format", "html", "--out", out)
    return out


def test_the_page_needs_nothing_else_and_escapes_names(page):
    text = page.read_text()
    assert "onerror=alert(1)>.mp4" not in text.replace("&gt;", "")
    assert "&lt;img src=x" in text
    assert "http://" not in text
    assert "<link" not in text
    assert text.count("data:image/jpeg") == 3
    assert "Model card" in text


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_in_a_browser(page, tmp_path, width):
    probe = """<script>
      const heads = document.querySelectorAll("#files th button");
      const names = () => [...document.querySelectorAll("#files tbody tr")].map(row => row.cells[1].dataset.key);
      const before = names(); heads[2].click(); const rising = names(); heads[2].click(); const falling = names();
      const images = [...document.images].map(image => image.naturalWidth);
      const wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
      document.body.dataset.seen = JSON.stringify({before, rising, falling, images, wide});
    </script></body>"""
    looked_at = tmp_path / "page.html"
    looked_at.write_text(page.read_text().replace("</body>", probe))
    seen = json.loads(_attribute(_chromium(tmp_path, f"--window-size={width},900", "--dump-dom", looked_at.as_uri())))
    assert seen["before"][0].startswith("fake")
    assert seen["falling"] == seen["rising"][::-1]
    assert seen["falling"][0].startswith("fake")
    assert len(seen["images"]) == 3
    assert min(seen["images"]) > 0
    assert not seen["wide"], "it must not scroll sideways"


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
def test_the_page_prints(page, tmp_path):
    _chromium(tmp_path, f"--print-to-pdf={tmp_path / 'page.pdf'}", page.as_uri())
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def _chromium(folder, *words):
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command = [CHROMIUM, *switches, f"--user-data-dir={folder / 'profile'}", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return done.stdout


def _attribute(dom):
    from html import unescape

    start = dom.index('data-seen="') + len('data-seen="')
    return unescape(dom[start : dom.index('"', start)])


def test_a_page_that_cannot_be_written_is_one_sentence(rig, tmp_path):
    with pytest.raises(QueueError, match="cannot be written"):
        results.run(results_args("--format", "html", "--out", str(tmp_path / "no" / "page.html")), rig.settings)


def test_columns_of_the_manifest_come_back_in_every_format(rig, clip, tmp_path, capsys):
    manifest = tmp_path / "cases.csv"
    manifest.write_text("file,case\nclip.mp4,A-17\nmissing.mp4,A-18\n")
    assert rig.dfd("submit", "--manifest", manifest) == 1
    assert "missing.mp4 is not a file" in capsys.readouterr().err
    rig.work()
    out = tmp_path / "results"
    rig.dfd("results", "--format", "csv", "--out", out)
    (row,) = csv.DictReader(io.StringIO(out.read_text()))
    assert (row["case"], row["file"], row["state"], row["reason"]) == ("A-17", str(clip), "unknown", "no face")
    rig.dfd("results", "--format", "jsonl", "--out", out)
    assert json.loads(out.read_text())["case"] == "A-17"
    capsys.readouterr()
    rig.dfd("results", "--format", "table", "--state", "fake")
    assert "clip.mp4" not in capsys.readouterr().out
    (tmp_path / "bad.csv").write_text("name\nclip.mp4\n")
    assert rig.dfd("submit", "--manifest", tmp_path / "bad.csv") == 1
    assert "needs a header with a column 'file'" in capsys.readouterr().err
    assert rig.dfd("submit") == 1
    assert "There is no video or image to submit" in capsys.readouterr().err


def test_no_name_in_the_page_looks_like_another():
    name = "a\u202egpj.exe\n\x1b[2J.mp4"
    text = html_page(
        [PageRow(name, Report(name, State.UNKNOWN, "not scorable", reason=f"{name} is empty."))], Settings()
    )
    assert not {"\u202e", "\x1b"} & set(text)
    assert "a\\u202egpj.exe" in text
