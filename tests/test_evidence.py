"""Evidence of alarms: pixels that stay, bundles that can be checked, limits that hold."""

from __future__ import annotations

import json
import resource
import subprocess
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from dfd_core.cli.main import main
from dfd_core.errors import ModelError, SettingsError
from dfd_core.models.activation import ActivationMap
from dfd_core.models.litert import LiteRuntime
from dfd_core.models.store import SHIPPED, read_card
from dfd_core.queue import arrays, keys
from dfd_core.queue.alarms import AlarmBook
from dfd_core.queue.kept import ask_for_pixels, kept_segment, latest_segments, watch
from dfd_core.sections import EvidenceSettings
from tests.fixtures_evidence import FACE, crops_of, opened, score, segment
from tests.fixtures_monitor import announce, window
from tests.test_alarms import alarm
from workers.evidence.bundle import MANIFEST, write_bundle
from workers.evidence.collector import AGAIN_S, LINGER_S
from workers.evidence.integrity import problems
from workers.evidence.shelf import Shelf, find_bundle


def kept(client) -> list[int]:
    return sorted(int(key.rpartition(b":")[2]) for key in client.keys("dfd:segment:*"))


def test_pixels_stay_while_somebody_asks_and_where_a_window_is_suspicious(redis_client):
    events = [window("cam", seq, p) for seq, p in enumerate([0.9, 0.2, None, 0.6])]
    score(redis_client, *events)
    assert kept(redis_client) == []
    ask_for_pixels(redis_client, 0.6, 10**9)
    score(redis_client, *events)
    assert kept(redis_client) == [0, 3]
    assert 0 < redis_client.pttl(keys.segment_key("cam", "r1", 0)) <= 60_000
    found = kept_segment(redis_client, "cam", "r1", 3)
    assert (found.tracks[0].crops == segment(3).tracks[0].crops).all()
    assert kept_segment(redis_client, "cam", "r1", 1) is None
    redis_client.delete(keys.EVIDENCE_KEY)
    score(redis_client, window("cam", 7, 0.99))
    assert 7 not in kept(redis_client)


def test_the_newest_pixels_of_each_stream_stay_while_somebody_looks(redis_client):
    score(redis_client, window("cam", 0, 0.1))
    assert latest_segments(redis_client, ["cam"]) == {}
    watch(redis_client)
    score(redis_client, window("cam", 1, 0.1), window("cam", 2, None), window("door", 7, 0.1))
    redis_client.set(keys.latest_key("strange"), b"x")
    found = latest_segments(redis_client, ["cam", "door", "strange", "none"])
    assert {stream: segment.seq for stream, segment in found.items()} == {"cam": 2, "door": 7}
    assert kept(redis_client) == []
    assert 0 < redis_client.pttl(keys.latest_key("cam")) <= 30_000
    assert latest_segments(redis_client, []) == {}


def test_pixels_that_stay_have_a_bound(redis_client):
    size = len(arrays.pack_segment(segment(0)))
    ask_for_pixels(redis_client, 0.5, int(2.5 * size))
    score(redis_client, *(window("cam", seq, 0.9) for seq in range(6)))
    assert kept(redis_client) == [4, 5]
    assert redis_client.llen(keys.EVIDENCE_KEPT_KEY) == 2


@pytest.mark.parametrize("shipped", [True, False])
def test_a_heat_map_adds_up_to_the_logit_of_the_network(shipped, tiny_model):
    folder = SHIPPED if shipped else tiny_model
    given = read_card(folder).input
    network = ActivationMap(folder / "model.tflite", given)
    images = np.random.default_rng(1).integers(0, 256, (2, given.size, given.size, 3), np.uint8)
    maps, logits = network.look(images)
    assert maps.ndim == 3
    assert maps[0].std() > 0
    assert np.allclose(maps.mean((1, 2)) + network.bias, logits, atol=1e-4)
    expected = LiteRuntime(folder / "model.tflite", given, 1).run(images)["logit"][:, 0]
    assert np.allclose(logits, expected, atol=1e-3)


def test_a_network_that_ends_otherwise_has_no_heat_map():
    with pytest.raises(ModelError, match="no heat map"):
        ActivationMap(SHIPPED / "texture.tflite", read_card(SHIPPED).input)


def test_an_alarm_has_a_bundle_at_once_and_a_whole_one_in_the_end(shop, redis_client):
    announce(redis_client, "cam", live=True, source="rtsp://camera/1")
    shop.turn()
    found = opened(redis_client)
    shop.tell(found, window("cam", 0, 0.2), window("cam", 1, 0.7), window("cam", 2, 0.8))
    shop.turn()
    bundle = find_bundle(shop.folder, found.id)
    assert crops_of(bundle) == {1, 2}
    assert problems(bundle) == []
    facts = json.loads((bundle / "alarm.json").read_text())
    assert (facts["alarm"]["id"], facts["alarm"]["state"], facts["source"]) == (found.id, "open", "rtsp://camera/1")
    assert [each["fake_probability"] for each in facts["windows"]] == [0.2, 0.7, 0.8]
    assert facts["model"]["files"] == read_card(SHIPPED.parents[3] / "tests/data/tiny_model").files
    picture = cv2.cvtColor(cv2.imread(str(bundle / "crops" / "00000002-03.png")), cv2.COLOR_BGR2RGB)
    assert (picture == segment(2).tracks[0].crops[3]).all()  # lossless
    assert not (bundle / "crops" / "00000002-01.png").exists()  # where it was not seen
    assert {"strip.png", "heat.png", "timeline.png"} <= {path.name for path in bundle.iterdir()}
    logits = {each["file"]: each["logit"] for each in facts["crops"]}
    assert logits["crops/00000002-03.png"] is not None
    shop.tell(found, window("cam", 3, 0.95))
    shop.turn()
    assert crops_of(bundle) == {1, 2}  # not rewritten at once
    shop.turn(AGAIN_S)
    assert crops_of(bundle) == {2, 3}
    AlarmBook(redis_client).close("cam", "r1", FACE, 9.0, time.time())
    shop.turn()
    shop.tell(found, window("cam", 4, 0.85))
    shop.turn(LINGER_S)
    assert json.loads((bundle / "alarm.json").read_text())["alarm"]["state"] == "ended"
    assert crops_of(bundle) == {3, 4}
    assert problems(bundle) == []
    assert [path.name for path in shop.folder.iterdir()] == [bundle.name]
    assert shop.registry.get_sample_value("dfd_evidence_bundles_total") == 3


def test_pixels_that_are_gone_leave_a_bundle_without_crops(shop, redis_client):
    found = opened(redis_client)
    shop.tell(found, window("cam", 1, 0.9))  # nobody asked for pixels yet
    shop.turn()
    bundle = find_bundle(shop.folder, found.id)
    assert {path.name for path in bundle.iterdir()} == {"alarm.json", "timeline.png", MANIFEST}
    shop.tell(found, window("cam", 2, 0.7))
    shop.turn(AGAIN_S)
    assert crops_of(bundle) == {2}


def test_a_disk_that_is_full_costs_evidence_only_and_is_told(shop, redis_client, caplog):
    shop.turn()
    found = opened(redis_client)
    shop.tell(found, window("cam", 1, 0.9))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        shop.turn()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert shop.lost("not writable") == 1
    assert "is not kept" in caplog.text
    assert list(shop.folder.iterdir()) == []
    AlarmBook(redis_client).close("cam", "r1", FACE, 9.0, time.time())
    shop.turn(AGAIN_S)
    assert problems(find_bundle(shop.folder, found.id)) == []


def test_the_oldest_make_room_for_the_newest_and_nothing_is_older_than_allowed(tmp_path):
    days, start_s = 86_400.0, time.time()
    shelf = Shelf(EvidenceSettings(folder=str(tmp_path), max_bytes=2_500, max_days=10))
    (tmp_path / "notes.txt").write_text("mine")
    for number in range(4):
        shelf.put(alarm(number, opened_at_s=start_s + number * days), {"a.bin": bytes(1000)})
    left = [find_bundle(tmp_path, alarm(number).id) is not None for number in range(4)]
    assert left == [False, False, True, True]
    assert shelf.size < 2_500
    again = Shelf(EvidenceSettings(folder=str(tmp_path), max_bytes=10**9, max_days=10))
    again.make_room(start_s + 12.5 * days)
    assert [find_bundle(tmp_path, alarm(number).id) is not None for number in range(4)] == [False, False, False, True]
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert find_bundle(tmp_path, "../" + alarm(3).id) is None
    assert find_bundle(tmp_path, "*") is None


def test_a_folder_that_cannot_be_used_is_told(tmp_path, redis_url, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"evidence\.folder"):
        Shelf(EvidenceSettings(folder=str(tmp_path / "file" / "x")))
    assert main(["evidence", "--redis", redis_url]) == 2
    assert "set evidence.folder" in capsys.readouterr().err
    strange = replace(alarm(1), stream="../etc")
    with pytest.raises(OSError, match="no name of a bundle"):
        Shelf(EvidenceSettings(folder=str(tmp_path / "good"))).put(strange, {"a": b""})


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "one"
    write_bundle(folder, {"alarm.json": b"{}", "crops/1.png": b"x"})
    return folder


def test_verify_finds_every_change(bundle, capsys):
    def verified() -> tuple[int, str]:
        return main(["evidence", "verify", str(bundle.parent)]), capsys.readouterr().out

    assert verified() == (0, f"{bundle}: all files are as they were written\n")
    told = subprocess.run(["sha256sum", "--check", "--quiet", MANIFEST], cwd=bundle, check=False)
    assert told.returncode == 0
    crop, manifest = bundle / "crops" / "1.png", bundle / MANIFEST
    crop.write_bytes(b"y")
    assert verified() == (1, f"{bundle}: crops/1.png was changed\n")
    crop.unlink()
    crop.symlink_to(bundle / "alarm.json")
    assert verified()[1] == f"{bundle}: crops/1.png is no plain file\n"
    crop.unlink()
    (bundle / "more").mkdir()
    (bundle / "more" / "a.txt").write_text("")
    assert verified()[1] == f"{bundle}: crops/1.png is missing\n{bundle}: more/a.txt was added\n"
    for damage in ("", "nonsense\n", f"{'0' * 64}  ../alarm.json\n", f"{'0' * 64}  /etc/passwd\n", "\xff"):
        manifest.write_bytes(damage.encode("latin-1"))
        assert verified()[0] == 1, damage
    manifest.unlink()
    assert main(["evidence", "verify", str(bundle)]) != 0
    assert "No manifest.sha256" in capsys.readouterr().err
