"""RTSP whose pictures come by UDP, of which a share is lost on the way."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import threading

from tests.chaos.proxy import Proxy

_PORTS = re.compile(rb"client_port=(\d+)-(\d+)")


class LossyRtsp:
    """An RTSP proxy before the server at `port` that drops `share` of its RTP packets.

    In what the client asks it puts ports of its own, and passes on to the client's what comes there.
    """

    def __init__(self, port: int) -> None:
        self.share = 0.0
        self._chance = random.Random(1)
        self._proxy = Proxy(port, self._redirected)
        self._sockets: list[socket.socket] = []

    @property
    def port(self) -> int:
        return self._proxy.port

    def close(self) -> None:
        self._proxy.close()
        for end in self._sockets:
            end.close()

    def _redirected(self, request: bytes) -> bytes:
        found = _PORTS.search(request)
        if not request.startswith(b"SETUP") or found is None:
            return request
        rtp, rtcp = self._pair()
        self._relay(rtp, int(found[1]), lossy=True)
        self._relay(rtcp, int(found[2]), lossy=False)
        ports = "-".join(str(end.getsockname()[1]) for end in (rtp, rtcp))
        return _PORTS.sub(f"client_port={ports}".encode(), request)

    def _pair(self) -> tuple[socket.socket, socket.socket]:
        """Two ports, an even one and the next."""
        while True:
            first, second = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
            first.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            with contextlib.suppress(OSError):
                if port % 2 == 0:
                    second.bind(("127.0.0.1", port + 1))
                    return first, second
            first.close()
            second.close()

    def _relay(self, end: socket.socket, port: int, *, lossy: bool) -> None:
        def relay() -> None:
            with contextlib.suppress(OSError):  # closed
                while data := end.recv(65536):
                    if not lossy or self._chance.random() >= self.share:
                        end.sendto(data, ("127.0.0.1", port))

        self._sockets.append(end)
        threading.Thread(target=relay, daemon=True).start()
