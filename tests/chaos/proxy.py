"""A TCP proxy that can become slow, or take everything and pass nothing on, as a network does."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

CHUNK = 65536


class Proxy:
    """Passes connections to `port` from a port of its own; `delay_s` of each piece of a request can change at any time.

    While it is `dark`, it accepts and passes nothing on in either direction: whoever asks waits, and is not refused.
    """

    def __init__(self, port: int, request: Callable[[bytes], bytes] = bytes) -> None:
        """`request` may change what clients send, a piece at a time."""
        self._target, self._request = port, request
        self.delay_s = 0.0
        self._lit = threading.Event()
        self._lit.set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._ends: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def dark(self) -> bool:
        return not self._lit.is_set()

    @dark.setter
    def dark(self, value: bool) -> None:
        self._lit.clear() if value else self._lit.set()

    def close(self) -> None:
        self._lit.set()
        for end in (self._server, *self._ends):
            _end(end)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._lit.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        pair = {client, server}
        self._ends |= pair
        back = threading.Thread(target=self._pump, args=(server, client, lambda: None, bytes), daemon=True)
        back.start()
        self._pump(client, server, lambda: time.sleep(self.delay_s), self._request)
        back.join()
        self._ends -= pair

    def _pump(
        self, source: socket.socket, sink: socket.socket, pause: Callable[[], None], change: Callable[[bytes], bytes]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                self._lit.wait()
                pause()
                sink.sendall(change(data))
        for end in (source, sink):
            _end(end)


def _end(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
