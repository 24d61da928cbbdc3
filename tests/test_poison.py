"""`dfd poison`: windows that were set aside are listed, taken out as files and dropped."""

import json

import cv2
import pytest

from dfd_core.cli.main import main
from dfd_core.queue import keys, records
from dfd_core.queue.arrays import unpack_segment
from dfd_core.queue.poison import set_aside
from dfd_core.queue.records import WindowHeader
from dfd_core.types import Outcome
from tests.fixtures_worker import Rig
from tests.standins import windows
from workers.windows.scoring import empty_result

WHY = "RuntimeError: [bold]no[/] such crop"


@pytest.fixture
def aside(redis_client) -> list[str]:
    """Two windows that are set aside, by name."""
    publisher = Rig(redis_client).publish(windows(2, side=24))
    sizes = [records.parse_pending(m) for m in redis_client.zrange(keys.pending_key("cam"), 0, -1)]
    for pending in sizes:
        seq = pending.seq
        header = WindowHeader("cam", publisher.run, seq, (seq,), 61.0 + seq, 62.0 + seq, 1.0, True, pending.size)
        assert set_aside(redis_client, header, empty_result(header, Outcome.FAILED, WHY))
    return [keys.job_id("cam", publisher.run, pending.seq) for pending in sizes]


def dfd(redis_url, *words: str) -> int:
    return main(["poison", *words, "--redis", redis_url])


def test_they_are_listed(aside, redis_url, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert dfd(redis_url, "list") == 0
    said = capsys.readouterr().out
    assert all(name in said for name in aside)
    assert WHY in said
    assert "01:01" in said
    assert dfd(redis_url, "list", aside[1], "--json") == 0
    (told,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (told["name"], told["reason"], told["stream"]) == (aside[1], WHY, "cam")


def test_their_faces_and_bytes_are_taken_out(aside, redis_url, redis_client, tmp_path, capsys):
    assert dfd(redis_url, "export", "--all", "--out", str(tmp_path / "out")) == 0
    assert "2 exported" in capsys.readouterr().out
    folder = tmp_path / "out" / aside[1]
    assert sorted(path.name for path in folder.iterdir()) == [
        *(f"1-face0-{place:02d}.png" for place in range(4)), "segment-1.bin", "why.json",
    ]  # fmt: skip
    kept = unpack_segment((folder / "segment-1.bin").read_bytes()).tracks[0].crops
    assert (cv2.imread(str(folder / "1-face0-02.png"))[..., ::-1] == kept[2]).all()
    assert json.loads((folder / "why.json").read_text())["reason"] == WHY
    assert redis_client.zcard(keys.POISON_KEY) == 2


def test_damaged_bytes_are_taken_out_as_they_are(aside, redis_url, redis_client, tmp_path):
    redis_client.hset(keys.poison_key(aside[0]), mapping={"segment:0": b"torn", "segment:../x": b"no"})
    assert dfd(redis_url, "export", aside[0], "--out", str(tmp_path)) == 0
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["segment-0.bin", "why.json"]
    assert (tmp_path / aside[0] / "segment-0.bin").read_bytes() == b"torn"


def test_they_are_dropped(aside, redis_url, redis_client, capsys):
    assert dfd(redis_url, "drop", aside[0]) == 0
    assert redis_client.zrange(keys.POISON_KEY, 0, -1) == [aside[1].encode()]
    assert dfd(redis_url, "drop", "--all") == 0
    assert capsys.readouterr().out.splitlines() == ["1 dropped", "1 dropped"]
    assert redis_client.keys("dfd:poison:cam*") == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["drop"], "needs either names of windows or --all"),
        (["export", "--all"], "needs --out DIR"),
        (["drop", "none"], "No window none is kept: `dfd poison list` shows"),
        (["drop", "x", "--all"], "needs either names of windows or --all"),
    ],
)
def test_what_is_wrong_is_one_sentence(words, sentence, redis_url, capsys):
    assert dfd(redis_url, *words) != 0
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_foreign_name_leads_nowhere(aside, redis_url, redis_client, tmp_path, capsys):
    redis_client.rename(keys.poison_key(aside[0]), keys.poison_key("../../out"))
    redis_client.zadd(keys.POISON_KEY, {"../../out": 1})
    assert dfd(redis_url, "export", "../../out", "--out", str(tmp_path / "a" / "b")) == 1
    assert "is no name for a folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
