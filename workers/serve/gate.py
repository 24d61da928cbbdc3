"""What every request passes, and every reply: hosts, origins, sizes, rates, headers, counts."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from fastapi import HTTPException
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workers.serve.parts import COOKIE, Parts
from workers.serve.problems import as_problems, problem

_SAFE = ("GET", "HEAD", "OPTIONS")
_LOCAL = ("localhost", "127.0.0.1", "::1")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # no-referrer makes browsers hide the origin of our own forms from us
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_CLOSED = "default-src 'none'; frame-ancestors 'none'; style-src 'unsafe-inline'"
_PAGES = (  # what NiceGUI needs, and nothing from elsewhere
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; media-src 'self' data:; font-src 'self' data:; connect-src 'self'; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_API = ("/v1/", "/docs", "/openapi.json", "/healthz", "/readyz", "/metrics")


class Gate:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app, self._parts = app, parts
        serve = parts.settings.serve
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._rate = RateLimitItemPerMinute(serve.requests_per_minute)
        self._hosts = {*_LOCAL, serve.host.lower(), *(name.strip().lower() for name in serve.names.split(",") if name)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, refuse or hand on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        no = self._stranger(scope, headers) or self._hasty(scope, headers) or self._large(headers)
        if scope["type"] == "websocket":
            await (_hang_up(receive, send) if no else self._app(scope, receive, send))
            return
        began = time.perf_counter()
        status = 500

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, scope["path"])
            await send(message)

        try:
            if no:
                code, sentence = no
                await problem(code, sentence, {"Retry-After": "5"} if code == 429 else None)(scope, receive, told)
            else:
                await self._app(scope, self._bounded(receive), as_problems(scope, receive, told))
        finally:
            self._count(scope, status, time.perf_counter() - began)

    def _stranger(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Other sites that a browser was sent to us by, and names that are not ours where no token is asked for."""
        host = headers.get("host", "")
        if not self._parts.tokens.needed and _name(f"//{host}")[0] not in self._hosts:
            return 403, "This server answers to its own name only: add others to serve.names, or set serve.tokens."
        origin = headers.get("origin")
        unsafe = scope["type"] == "websocket" or scope["method"] not in _SAFE
        if unsafe and origin is not None and _name(origin)[1] != host.lower():
            return 403, "A page of another site may not ask this."
        return None

    def _hasty(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        if scope["type"] == "websocket" or not scope["path"].startswith("/v1/"):
            return None
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        token = bearer if scheme.lower() == "bearer" else cookie_parser(headers.get("cookie", "")).get(COOKIE)
        known = self._parts.tokens.needed and self._parts.tokens.role_of(token)
        who = str(hash(token)) if known else str((scope.get("client") or ("",))[0])
        if self._limiter.hit(self._rate, who):
            return None
        return 429, f"More than {self._rate.amount} requests a minute: wait a moment."

    def _large(self, headers: Headers) -> tuple[int, str] | None:
        size = headers.get("content-length", "0")
        if size.isdecimal() and int(size) > self._parts.settings.serve.body_bytes:
            return 413, self._too_large()
        return None

    def _too_large(self) -> str:
        return (
            f"More than {self._parts.settings.serve.body_bytes / 1e6:.0f} MB (serve.body_bytes): give a path instead."
        )

    def _bounded(self, receive: Receive) -> Receive:
        """A body without a length, or with a wrong one, is cut off as well."""
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._parts.settings.serve.body_bytes:
                raise HTTPException(413, self._too_large())
            return message

        return bounded

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "") or "other"
        method = scope["method"] if scope["method"] in (*_SAFE, "POST", "PATCH", "DELETE", "PUT") else "other"
        self._parts.metrics.requests.labels(route, method, status).inc()
        if route != "/v1/events":
            self._parts.metrics.seconds.labels(route).observe(seconds)


def _name(url: str) -> tuple[str, str]:
    """The host that a URL names, without and with its port; empty where it is none."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.netloc.lower()
    except ValueError:
        return "", ""


def _add_headers(message: Message, path: str) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    if path.startswith(_API):
        headers.setdefault("Content-Security-Policy", _CLOSED)
        headers.setdefault("Cache-Control", "no-store")
    else:
        headers.setdefault("Content-Security-Policy", _PAGES)


async def _hang_up(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 1008})
