"""Cameras: a real RTSP server whose port stays its own, and false ones in its place that answer as no camera should."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import subprocess
import threading
from pathlib import Path

from tests.chaos.spawned import spawn
from tests.conftest import SYSTEM_PYTHON
from tests.fixtures_redis import free_port

REPEAT = 30  # of a clip of a minute: more than a run takes, but for soaks
SERVER = Path(__file__).parents[1] / "rtsp_server.py"
SILENCE, HEADERS, GARBAGE = "silence", "headers", "garbage"
_OPTIONS = "RTSP/1.0 200 OK\r\nCSeq: {}\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n"


class Camera:
    """A camera at one address, `url`, that is on after `start`, and off after `stop` as if its cable were cut."""

    def __init__(self, clip: Path, login: str | None = None, repeat: int = REPEAT) -> None:
        self.port, self.login = free_port(), login
        self._clip, self._repeat = clip, repeat
        self._server: subprocess.Popen[str] | None = None
        self._false: FalseCamera | None = None

    @property
    def url(self) -> str:
        user = f"{self.login}@" if self.login else ""
        return f"rtsp://{user}127.0.0.1:{self.port}/stream"

    def start(self, clip: Path | None = None, login: str | None = None) -> None:
        """Serve `clip` (default: its own) to whoever knows `login` (default: its own)."""
        self.stop()
        command = [SYSTEM_PYTHON, str(SERVER), str(clip or self._clip), "--repeat", str(self._repeat)]
        command += ["--port", str(self.port)]
        known = login or self.login
        command += ["--login", known] if known else []
        self._server = spawn(command, stdout=subprocess.PIPE, text=True)
        assert self._server.stdout is not None
        if not self._server.stdout.readline().startswith("rtsp://"):
            raise RuntimeError("the RTSP server did not start")

    def freeze(self) -> None:
        """It hangs: its connections stay open, and nothing comes."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)

    def pretend(self, how: str) -> None:
        """A false camera in its place."""
        self.stop()
        self._false = FalseCamera(self.port, how)

    def stop(self) -> None:
        if self._false is not None:
            self._false.close()
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            assert self._server.stdout is not None
            self._server.stdout.close()
        self._server = self._false = None


class FalseCamera:
    """Accepts at `port`, and then says nothing, half of a head, or garbage without end."""

    def __init__(self, port: int, how: str) -> None:
        self._how = how
        self._server = socket.create_server(("127.0.0.1", port))
        self._clients: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for end in (self._server, *self._clients):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self._clients.append(client)
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._how == HEADERS:  # it knows its first words
                client.recv(4096)
                client.sendall(_OPTIONS.format(1).encode())
                client.recv(4096)
                client.sendall(b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Type: application/sdp\r\nContent-Len")
            chance = random.Random(1)
            while self._how == GARBAGE:
                client.recv(4096)
                client.sendall(chance.randbytes(4096))
