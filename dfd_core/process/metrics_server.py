"""Serves a process's own /metrics, and never dies of a taken port."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from dfd_core.errors import SettingsError
from dfd_core.small_files import read_small_text

PORTS_TRIED = 20
_DIGEST = re.compile(r"([0-9a-f]{64})(\s.*)?")

log = logging.getLogger(__name__)


def serve_metrics(registry: CollectorRegistry, host: str, port: int, token_file: str = "") -> int | None:
    """Serve `registry` from a daemon thread; the port, or None when it serves nothing.

    Port -1 disables, 0 takes a free one; where `port` is taken, the next free one above it is used, with one warning.
    With `token_file`, whose lines are the SHA-256 of a token each, only who bears one of these is told, but for
    /healthz. SettingsError where the file cannot be read.
    """
    if port < 0:
        return None
    app = _App(registry, token_file)
    for candidate in range(port, port + PORTS_TRIED) if port else [0]:
        try:
            server = _Server.of(host, candidate)
        except OSError:
            continue
        server.set_app(app)
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        if candidate != port:
            log.warning("Port %d is taken: /metrics is served at http://%s:%d/metrics.", port, host, candidate)
        return int(server.server_port)
    log.warning("No free port from %d to %d on %s: /metrics is not served.", port, port + PORTS_TRIED - 1, host)
    return None


class _App:
    """/metrics for who may see it, and /healthz, which says nothing but that the process is there."""

    def __init__(self, registry: CollectorRegistry, token_file: str) -> None:
        self._metrics: Any = make_wsgi_app(registry)
        self._path = Path(token_file).expanduser() if token_file else None
        if self._path is not None:
            _digests(self._path)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """One request."""
        if environ.get("PATH_INFO") == "/healthz":
            start("200 OK", [("Content-Type", "text/plain")])
            return [b"ok\n"]
        if not self._admits(environ.get("HTTP_AUTHORIZATION", "")):
            start("401 Unauthorized", [("Content-Type", "text/plain"), ("WWW-Authenticate", "Bearer")])
            return [b"Send a token whose hash is in metrics.token_file: Authorization: Bearer TOKEN.\n"]
        return self._metrics(environ, start)  # type: ignore[no-any-return]

    def _admits(self, header: str) -> bool:
        if self._path is None:
            return True
        kind, _, token = header.partition(" ")
        digest = hashlib.sha256(token.strip().encode("latin-1", "replace")).hexdigest()
        try:
            known = _digests(self._path)  # as it is now: a token that was taken out is good no more
        except SettingsError as error:
            log.warning("%s", error)
            return False
        return kind.lower() == "bearer" and any(hmac.compare_digest(digest, each) for each in known)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    @classmethod
    def of(cls, host: str, port: int) -> _Server:
        """Listens; OSError where it cannot."""
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        kind = type("_ServerOfFamily", (cls,), {"address_family": family})
        return kind((address[0], port), _Handler)  # type: ignore[no-any-return]


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a scrape is no news."""


def _digests(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in read_small_text(path).splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"The hashes of tokens {path} (metrics.token_file) cannot be read: {why}.") from None
    found = [_DIGEST.fullmatch(line) for line in lines if line and not line.startswith("#")]
    digests = [each[1] for each in found if each is not None]
    if len(digests) < len(found) or not digests:
        raise SettingsError(
            f"{path} (metrics.token_file) must hold the SHA-256 of a token a line, as "
            'printf %s "$TOKEN" | sha256sum writes it.'
        )
    return digests
