"""Evidence goes on where an earlier process left it."""

from __future__ import annotations

import json
import time

from dfd_core.queue.alarms import AlarmBook
from tests.fixtures_evidence import FACE, Shop, opened
from tests.fixtures_monitor import window
from tests.test_alarms import alarm
from workers.evidence.collector import LINGER_S
from workers.evidence.shelf import find_bundle
from workers.evidence.verify import problems


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
