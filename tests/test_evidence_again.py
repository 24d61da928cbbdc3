"""What evidence shows of the check texture, and that it goes on where an earlier process left it."""

from __future__ import annotations

import json
import time

import cv2
import numpy as np
import pytest

from dfd_core.checks.texture import Texture
from dfd_core.errors import ModelError
from dfd_core.models.litert import LiteRuntime
from dfd_core.models.store import SHIPPED, read_card
from dfd_core.models.texture_map import TextureMap
from dfd_core.queue.alarms import AlarmBook
from tests.fixtures_evidence import FACE, Shop, opened, segment
from tests.fixtures_monitor import window
from tests.test_alarms import alarm
from workers.evidence.collector import LINGER_S
from workers.evidence.integrity import problems
from workers.evidence.pictures import TILE, VIEW_WORDS
from workers.evidence.shelf import find_bundle


def test_a_new_process_goes_on_with_what_an_earlier_one_kept(shop, redis_client, tiny_model, monkeypatch):
    shop.turn()
    found, other = opened(redis_client), opened(redis_client, 2, track=4)
    for each in (found, other):
        shop.tell(each, window("cam", 1, 0.9), window("cam", 2, 0.8))
    shop.turn()
    (shop.folder / ".draft-0").mkdir()  # it died while it wrote
    spoilt = find_bundle(shop.folder, other.id)
    (spoilt / "alarm.json").write_text((spoilt / "alarm.json").read_text() + " ")
    before = {path.name: path.read_bytes() for path in find_bundle(shop.folder, found.id).rglob("*.png")}
    redis_client.delete(*redis_client.keys("dfd:segment:*"))
    AlarmBook(redis_client).close("cam", "r1", FACE, 9.0, time.time())  # while nobody kept evidence
    monkeypatch.setattr("workers.evidence.collector.LATE_S", -1.0)  # and that was long ago
    again = Shop(redis_client, shop.folder, tiny_model, windows=2)
    for _ in range(2):
        again.turn(LINGER_S)
    bundle = find_bundle(shop.folder, found.id)
    facts = json.loads((bundle / "alarm.json").read_text())
    assert (facts["alarm"]["state"], facts["alarm"]["closed_s"]) == ("ended", 9.0)
    after = {path.name: path.read_bytes() for path in bundle.rglob("*.png")}
    assert {"strip.png", "heat.png", "00000001-03.png"} <= before.keys()
    assert after == before  # the same pixels, and the same is seen in them
    assert problems(bundle) == []
    assert problems(spoilt) == ["alarm.json was changed"]  # whoever did that: it is left as it is
    assert len(list(shop.folder.iterdir())) == 2
    third = Shop(redis_client, shop.folder, tiny_model, windows=2)
    third.turn()
    assert third.registry.get_sample_value("dfd_evidence_bundles_total") == 0  # all is done


def test_an_alarm_that_is_none_of_the_newest_any_more_is_finished_too(shop, redis_client, monkeypatch):
    monkeypatch.setattr("workers.evidence.collector.NEWEST", 1)
    found = opened(redis_client)
    shop.tell(found, window("cam", 1, 0.9))
    shop.turn()
    AlarmBook(redis_client).open(alarm(7, stream="door", opened_at_s=time.time() + 1))
    AlarmBook(redis_client).close("cam", "r1", FACE, 9.0, time.time())
    for _ in range(2):
        shop.turn(LINGER_S)
    facts = json.loads((find_bundle(shop.folder, found.id) / "alarm.json").read_text())
    assert facts["alarm"]["state"] == "ended"


@pytest.fixture(scope="module")
def texture_map():
    return TextureMap(SHIPPED / "texture.tflite", read_card(SHIPPED).input)


@pytest.mark.parametrize("blur", [0.0, 3.0])
def test_a_map_of_texture_adds_up_to_what_the_check_says(texture_map, blur):
    size = read_card(SHIPPED).input.size
    image = np.random.default_rng(2).integers(0, 256, (size, size, 3), np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), blur) if blur else image
    expected = LiteRuntime(SHIPPED / "texture.tflite", read_card(SHIPPED).input, 1).run(image[None])["logit"][0]
    expected = expected.reshape(-1, texture_map.views)  # a row a voice
    for view in range(texture_map.views):
        found, logit = texture_map.look(image, view)
        voice = int(expected[:, view].argmax())
        assert logit == pytest.approx(expected[voice, view], abs=5e-2)
        assert found.sum() + texture_map.offsets(view)[voice] == pytest.approx(logit, abs=1e-2)
        assert found.std() > 0


def test_a_place_that_changes_is_where_the_map_changes(texture_map):
    size = read_card(SHIPPED).input.size
    image = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (size, size, 3), np.uint8), (0, 0), 3)
    other = image.copy()
    other[-48:, -48:] = np.random.default_rng(3).integers(0, 256, (48, 48, 3), np.uint8)
    change = np.abs(texture_map.look(other, 0)[0] - texture_map.look(image, 0)[0])
    assert change[-6:, -6:].mean() > 1.5 * change[:12, :12].mean()


def test_a_network_without_these_statistics_has_no_map_of_texture(tiny_model):
    with pytest.raises(ModelError, match="no map of texture"):
        TextureMap(tiny_model / "model.tflite", read_card(tiny_model).input)


@pytest.mark.parametrize("words", VIEW_WORDS)
def test_what_a_view_shows_is_said_below_it_and_not_below_its_neighbour(words):
    said = f"3600.12 s 0.97 {words}"
    assert cv2.getTextSize(said, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)[0][0] <= TILE + 8


def test_a_bundle_shows_the_frames_and_views_that_texture_looked_at(redis_client, tmp_path, texture_map):
    shop = Shop(redis_client, tmp_path / "evidence", SHIPPED, texture=texture_map)
    shop.turn()
    found = opened(redis_client)
    shop.tell(found, window("cam", 1, 0.9))
    shop.turn()
    bundle = find_bundle(shop.folder, found.id)
    told = json.loads((bundle / "alarm.json").read_text())["texture"]
    size = read_card(SHIPPED).input.size
    check = Texture(LiteRuntime(SHIPPED / "texture.tflite", read_card(SHIPPED).input, 1), size)
    measured = check.features(segment(1).tracks)[0]
    assert told[0]["view"] == VIEW_WORDS[0]
    assert {each["view"] for each in told} <= set(VIEW_WORDS)
    loudest = measured.reshape(len(measured), -1, texture_map.views).max(axis=1)  # of the voices
    assert np.mean([each["logit"] for each in told]) == pytest.approx(np.nanmean(loudest), abs=2e-2)
    assert cv2.imread(str(bundle / "texture.png")).std() > 0
    assert problems(bundle) == []
