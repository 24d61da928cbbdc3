"""Evidence in object stores: a real server that speaks S3, and other stores of fsspec."""

from __future__ import annotations

import io
import json
import time
import zipfile

import fsspec
import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from dfd_core.cli.main import main
from dfd_core.errors import SettingsError
from dfd_core.queue.alarms import AlarmBook
from dfd_core.sections import EvidenceSettings
from tests.fixtures_evidence import FACE, Shop, opened
from tests.fixtures_monitor import window
from tests.fixtures_redis import free_port
from tests.test_alarms import alarm
from workers.evidence.collector import LINGER_S
from workers.evidence.places import open_bundle, open_shelf
from workers.evidence.remote import opened as opened_store

SECRET = "sesame-sesame"  # noqa: S105  of the test's own server


@pytest.fixture(scope="module")
def s3():
    """An S3 server with a bucket, and the environment by which clients find it."""
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "dfd")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.filesystem("s3").mkdir("bucket")
        yield "s3://bucket"
    server.stop()


@pytest.fixture(params=["s3", "memory", "file"])
def place(request, tmp_path):
    """A URL below which nothing is yet."""
    if request.param == "s3":
        return f"{request.getfixturevalue('s3')}/{tmp_path.name}/evidence"
    return f"memory://{tmp_path.name}/evidence" if request.param == "memory" else f"file://{tmp_path}/evidence"


def test_a_bundle_is_kept_finished_by_another_process_handed_out_and_verified(
    place, served, redis_client, tmp_path, tiny_model, capsys
):
    shop = Shop(redis_client, place, tiny_model, windows=2)
    shop.turn()
    found = opened(redis_client)
    shop.tell(found, window("cam", 1, 0.9), window("cam", 2, 0.8))
    shop.turn()
    assert json.loads(open_bundle(place, found.id).read("alarm.json"))["alarm"]["state"] == "open"
    AlarmBook(redis_client).close("cam", "r1", FACE, 9.0, time.time())
    again = Shop(redis_client, place, tiny_model, windows=2)
    for _ in range(2):
        again.turn(LINGER_S)
    bundle = open_bundle(place, found.id)
    assert json.loads(bundle.read("alarm.json"))["alarm"]["state"] == "ended"
    assert {"crops/00000001-03.png", "strip.png", "heat.png", "timeline.png"} <= bundle.files.keys()
    assert main(["evidence", "verify", place]) == 0
    client = served(**{"evidence.folder": place})
    assert client.get(f"/v1/alarms/{found.id}/evidence/strip.png").headers["content-type"] == "image/png"
    packed = client.get(f"/v1/alarms/{found.id}/bundle").content
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path / "handed on")
    assert main(["evidence", "verify", str(tmp_path / "handed on")]) == 0
    capsys.readouterr()
    fs, root = fsspec.core.url_to_fs(place)
    fs.pipe_file(f"{root}/{bundle.name}/strip.png", b"another")
    assert main(["evidence", "verify", place]) == 1
    assert "strip.png was changed" in capsys.readouterr().out


def test_the_oldest_make_room_in_a_store_too(place):
    days, start_s = 86_400.0, time.time()
    settings = EvidenceSettings(folder=place, max_bytes=2_500, max_days=10)
    shelf = open_shelf(settings)
    fs, root = opened_store(place)
    fs.pipe_file(f"{root}/notes.txt", b"mine")
    for number in range(4):
        shelf.put(alarm(number, opened_at_s=start_s + number * days), {"a.bin": bytes(1000), "old.bin": b"x"})
    shelf.put(alarm(3, opened_at_s=start_s + 3 * days), {"a.bin": bytes(1000)})  # again, without one of its files
    again = open_shelf(settings)
    assert [again.has(alarm(number).id) for number in range(4)] == [False, False, True, True]
    assert open_bundle(place, alarm(3).id).files.keys() == {"a.bin"}
    assert main(["evidence", "verify", place]) == 0
    again.make_room(start_s + 12.5 * days)
    assert [open_bundle(place, alarm(number).id) is not None for number in range(4)] == [False, False, False, True]
    assert fs.cat_file(f"{root}/notes.txt") == b"mine"


def test_a_store_that_cannot_be_used_is_told_without_its_secrets(s3, monkeypatch, capsys, redis_url):
    for url in (f"s3://dfd:{SECRET}@bucket/x", f"s3://bucket/x?secret={SECRET}", "nonsense://x", "s3://none/x\0"):
        assert main(["evidence", "--redis", redis_url, "--set", f"evidence.folder={url}"]) == 2
        said = capsys.readouterr().err
        assert SECRET not in said
        assert said.startswith("dfd: ")
        assert said.count("\n") == 1
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    fsspec.filesystem("s3").clear_instance_cache()
    with pytest.raises(SettingsError, match="cannot be kept"):
        open_shelf(EvidenceSettings(folder=f"{s3}/away"))
    assert open_bundle(f"{s3}/away", alarm(1).id) is None


def test_a_store_that_goes_away_costs_evidence_only(redis_client, tiny_model, s3, monkeypatch):
    fsspec.filesystem("s3").clear_instance_cache()
    shop = Shop(redis_client, f"{s3}/later", tiny_model)
    found = opened(redis_client)
    shop.tell(found, window("cam", 1, 0.9))
    with monkeypatch.context() as patch:
        patch.setattr(shop.collector._shelf, "_fs", gone(patch))
        shop.turn()
    assert shop.lost("not writable") == 1
    shop.turn(100.0)
    AlarmBook(redis_client).close("cam", "r1", FACE, 9.0, time.time())
    for _ in range(2):
        shop.turn(LINGER_S)
    assert open_bundle(f"{s3}/later", found.id) is not None


def gone(patch):
    """A client of a server that is not there."""
    patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    return fsspec.filesystem("s3", skip_instance_cache=True, config_kwargs={"retries": {"max_attempts": 0}})
