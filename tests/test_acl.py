"""Each command of dfd as the user of its role: `deploy/valkey/users.acl` permits enough, and no more than that."""

from pathlib import Path

import httpx
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from dfd_core.queue import keys
from tests.clips import write_clip
from tests.fixtures_acl import USERS, Site, password, site
from tests.fixtures_redis import free_port

ALARMED = [f"--set=verdict.{setting}" for setting in ("enter=0.02", "exit=0.01", "min_duration_s=0")]  # by any face
WRITTEN = (keys.VERDICTS_KEY, keys.MONITOR_KEY, keys.BOARDS_KEY, keys.ALARMS_KEY, keys.BULK_REPORTS_KEY)


def client(made: Site, role: str) -> Redis:
    return Redis(port=made.port, username=f"dfd-{role}", password=password(role))


def work_through(made: Site, folder: Path, model: Path) -> None:
    """A camera with an alarm, files that are submitted, and all commands that look at them or change them."""
    kept, port = folder / "kept", free_port()
    at_work = ["--set", f"model.path={model}", "--set", f"bulk.roots={folder}", "--set", f"evidence.folder={kept}"]
    clip, away, later, sent = (write_clip(folder / f"{n}.mp4", frames=n) for n in (20, 21, 22, 23))
    (folder / "door").write_text("synthetic://door?duration=36000&size=640x360&fps=8&live=1")
    made.start("monitor", "monitor", *at_work, *ALARMED)
    made.start("ingest", "ingest", "--set", "queue.live_bytes=1000")
    made.run("operator", "streams", "add", "door", "--url-file", str(folder / "door"))
    made.run("bulk", "submit", str(clip), str(away), *at_work)
    away.unlink()  # its job will fail
    made.run("bulk", "submit", str(later), "--upload", *at_work)
    made.run("bulk", "jobs", "cancel", str(later))
    made.until(lambda: made.admin.exists(keys.RESULTS_KEY))  # windows that were dropped: nobody scores yet
    made.start("worker", "work", "--processes", "1", *at_work, "--set", "worker.bulk_processes=1")
    made.start("evidence", "evidence", *at_work, "--set", "evidence.from_probability=0")
    made.start("serve", "serve", *at_work, "--set", f"serve.port={port}")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
        made.until(lambda: serves(client))
        ask_all(client, sent)
        made.until(lambda: made.admin.exists(*WRITTEN) == len(WRITTEN) and list(kept.rglob("*.json")))
        look_on(client)
    made.until(lambda: made.admin.exists("rq:failed:dfd-bulk", "rq:scheduled:dfd-bulk"))
    for words in (["jobs"], ["results", "--format", "jsonl"], ["jobs", "retry", "--all"], ["jobs", "cancel", "--all"]):
        made.run("bulk", *words)
    for words in (["list"], ["pause", "door"], ["resume", "door"], ["remove", "door"]):
        made.run("operator", "streams", *words)
    made.admin.hset("dfd:poison:cam-r-0", "reason", "x")
    made.admin.zadd("dfd:poison", {"cam-r-0": 1})
    for action in ("list", "drop --all"):
        made.run("operator", "poison", *action.split())
    made.run("operator", "doctor")


def serves(client: httpx.Client) -> bool:
    """Whether the server is there and has all that it asks for."""
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def ask_all(client: httpx.Client, clip: Path) -> None:
    """Whatever a page or a program asks `dfd serve` for."""
    sent = client.post("/v1/files", files={"file": ("sent.mp4", clip.read_bytes())}).raise_for_status().json()
    client.post("/v1/files", data={"path": str(clip)}).raise_for_status()
    for path in ("/v1/files", f"/v1/files/{sent['id']}", "/v1/streams", "/v1/alarms", "/v1/model", "/metrics", "/"):
        client.get(path).raise_for_status()
    client.delete(f"/v1/files/{sent['id']}").raise_for_status()
    client.post("/v1/streams", json={"name": "lobby", "url_env": "NONE"}).raise_for_status()
    client.patch("/v1/streams/lobby", json={"paused": True}).raise_for_status()
    client.patch("/v1/streams/lobby", json={"paused": False}).raise_for_status()
    client.delete("/v1/streams/lobby").raise_for_status()


def look_on(client: httpx.Client) -> None:
    """An alarm is looked at and judged, while somebody listens to what happens."""
    (alarm, *_) = client.get("/v1/alarms").raise_for_status().json()["alarms"]
    for path in ("", "/evidence", "/bundle"):
        client.get(f"/v1/alarms/{alarm['id']}{path}").raise_for_status()
    with client.stream("GET", "/v1/events") as events:
        lines = events.iter_lines()
        next(line for line in lines if line.startswith("event: "))
        client.patch(f"/v1/alarms/{alarm['id']}", json={"review": "confirmed"}).raise_for_status()
        next(line for line in lines if line == "event: alarm")


@pytest.mark.slow
def test_each_command_may_do_what_it_does(tmp_path: Path, tiny_model: Path) -> None:
    with site(tmp_path) as made:
        work_through(made, tmp_path, tiny_model)
        made.end()
        assert made.refused() == []


FORBIDDEN = {  # what somebody who holds the password of a role would like to do, and cannot
    "ingest": [
        ("GET", "dfd:monitor"), ("XADD", "dfd:verdicts", "*", "a", "b"), ("HGETALL", "dfd:bulk:reports"),
        ("SET", "dfd:lease:monitor", "me"), ("DEL", "dfd:alarms"), ("SMEMBERS", "rq:workers"),
        ("SET", "dfd:model", "x"), ("GET", "dfd:bulk:upload:x"), ("LPUSH", "rq:queue:dfd-bulk", "x"),
    ],
    "worker": [
        ("XADD", "dfd:verdicts", "*", "a", "b"), ("HGETALL", "dfd:wanted"), ("HSET", "dfd:orders", "cam", "x"),
        ("SET", "dfd:lease:monitor", "me"), ("DEL", "dfd:alarms"), ("HSET", "dfd:streams", "cam", "x"),
    ],
    "monitor": [
        ("GET", "dfd:segment:cam:r:0"), ("XADD", "dfd:results", "*", "a", "b"), ("SET", "dfd:model", "x"),
        ("LPUSH", "rq:queue:dfd-live", "x"), ("HSET", "rq:job:x", "a", "b"), ("HSET", "dfd:orders", "cam", "x"),
        ("GET", "dfd:latest:cam"), ("GET", "dfd:bulk:upload:x"), ("HGETALL", "dfd:poison:cam-r-0"),
    ],
    "bulk": [
        ("GET", "dfd:segment:cam:r:0"), ("LPUSH", "rq:queue:dfd-live", "x"), ("XADD", "dfd:results", "*", "a", "b"),
        ("HGETALL", "dfd:wanted"), ("SET", "dfd:model", "x"), ("SADD", "rq:workers", "x"),
        ("HDEL", "dfd:bulk:reports", "x"), ("HGETALL", "rq:job:cam-r-0"), ("EVAL", "return 1", "0"),
    ],
    "operator": [
        ("HSET", "dfd:streams", "cam", "x"), ("GET", "dfd:segment:cam:r:0"), ("HSET", "rq:job:x", "a", "b"),
        ("EVAL", "return 1", "0"), ("HGETALL", "dfd:bulk:reports"),
    ],
    "serve": [
        ("GET", "dfd:segment:cam:r:0"), ("XADD", "dfd:verdicts", "*", "a", "b"), ("XADD", "dfd:results", "*", "a", "b"),
        ("HSET", "dfd:streams", "cam", "x"), ("SET", "dfd:model", "x"), ("LPUSH", "rq:queue:dfd-live", "x"),
        ("DEL", "dfd:alarms"), ("SMEMBERS", "rq:workers"), ("EVAL", "return 1", "0"),
    ],
    "evidence": [
        ("DEL", "dfd:segment:cam:r:0"), ("HSET", "dfd:alarm:x", "review", "x"), ("DEL", "dfd:alarms"),
        ("HGETALL", "dfd:bulk:reports"), ("GET", "dfd:bulk:upload:x"), ("HGETALL", "dfd:wanted"),
        ("RPUSH", "rq:queue:dfd-live", "x"), ("EVAL", "return 1", "0"),
    ],
    "scaler": [
        ("LPUSH", "rq:queue:dfd-bulk", "x"), ("DEL", "rq:queue:dfd-bulk"), ("LLEN", "rq:queue:dfd-live"),
        ("HGETALL", "dfd:bulk:reports"), ("XADD", "dfd:results", "*", "a", "b"),
    ],
}  # fmt: skip
NOBODY = [
    ("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "GET", "*"), ("ACL", "LIST"), ("MONITOR",), ("SHUTDOWN", "NOSAVE"),
    ("SAVE",), ("REPLICAOF", "NO", "ONE"), ("CLIENT", "KILL", "TYPE", "normal"),
    ("SET", "others", "x"), ("GET", "others"), ("PUBLISH", "others", "x"), ("MODULE", "LIST"),
    ("SCAN", "0"), ("RANDOMKEY",), ("SCRIPT", "FLUSH"), ("FUNCTION", "FLUSH"), ("SUBSCRIBE", "others"),
    ("RENAME", "dfd:probe:a", "others"),
]  # fmt: skip


def test_no_role_may_do_what_is_anothers(tmp_path: Path) -> None:
    with site(tmp_path) as made:
        for role, commands in FORBIDDEN.items():
            with client(made, role) as redis:
                for command in [*commands, *NOBODY]:
                    with pytest.raises(NoPermissionError):
                        redis.execute_command(*command)
        with Redis(port=made.port) as nobody, pytest.raises(AuthenticationError):
            nobody.ping()


def test_who_scales_workers_may_count_what_waits(tmp_path: Path) -> None:
    script = """
        local kind = redis.call('type', KEYS[1]).ok
        return redis.call(({list = 'llen', none = 'llen'})[kind], KEYS[1])
    """  # as KEDA asks
    with site(tmp_path) as made, client(made, "scaler") as redis:
        made.admin.lpush("rq:queue:dfd-bulk", "a", "b")
        assert redis.ping()
        assert redis.eval(script, 1, "rq:queue:dfd-bulk") == 2
        for other in ("return redis.call('del', KEYS[1])", "return redis.call('get', 'dfd:model')"):
            with pytest.raises(ResponseError, match="ACL failure in script"):
                redis.eval(other, 1, "rq:queue:dfd-bulk")


def test_the_file_has_no_password_and_a_user_for_each_role() -> None:
    lines = USERS.read_text().splitlines()
    assert lines[0] == "user default off"
    assert [line.split()[1] for line in lines[1:]] == [f"dfd-{role}" for role in FORBIDDEN]
    assert all(line.split()[2:4] == ["on", f"#SHA256_OF_{line.split()[1][4:].upper()}"] for line in lines[1:])
    assert all(" -@all " in line and "nopass" not in line and " >" not in line for line in lines[1:])
