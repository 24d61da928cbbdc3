"""Every error is a problem of RFC 9457 with one sentence, whatever it was: nothing else leaves this server."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from redis.exceptions import RedisError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException as StarletteError
from starlette.types import Message, Receive, Scope, Send

from dfd_core.errors import DfdError, QueueError, VideoError, WireError
from dfd_core.names import utf8

MEDIA_TYPE = "application/problem+json"
RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem (RFC 9457): what is wrong, in one sentence.",
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail"],
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                    },
                }
            }
        },
    }
}
_SENTENCES = {
    404: "There is nothing here: /docs lists what there is.",
    405: "This cannot be done here: /docs lists what can.",
    416: "The file ends before that range begins: ask for one inside it.",
    400: "The body cannot be read: send what /docs says, in UTF-8.",
}
AWAY = "Redis does not answer: try again in a moment."
_RETRY_S = "5"


def problem(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The reply that says so."""
    title = HTTPStatus(status).phrase
    content = {"type": "about:blank", "title": title, "status": status, "detail": utf8(sentence)}
    return JSONResponse(content, status, headers, media_type=MEDIA_TYPE)


def refusal(status: int, sentence: str, **headers: str) -> HTTPException:
    """The error to raise; `retry_after="5"` becomes a header."""
    return HTTPException(status, sentence, {name.replace("_", "-"): value for name, value in headers.items()})


def as_problems(scope: Scope, receive: Receive, send: Send) -> Send:
    """What sends a reply on, errors that the framework tells as bare text (of ranges) as problems."""
    bare: list[Message] = []

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            kind = Headers(raw=message["headers"]).get("content-type", "")
            if kind.startswith("text/plain"):
                bare.append(message)
                return
        if not bare:
            await send(message)
        elif not message.get("more_body"):
            status, kept = bare[0]["status"], Headers(raw=bare[0]["headers"])
            text = message.get("body", b"").decode(errors="replace").strip().rstrip(".")
            sentence = f"{text}." if text else _SENTENCES.get(status, HTTPStatus(status).phrase)
            more = {name: kept[name] for name in ("content-range",) if name in kept}
            await problem(status, sentence, more)(scope, receive, send)

    return sent


def add_handlers(app: FastAPI) -> None:
    """Answer all errors of `app` so."""
    app.add_exception_handler(StarletteError, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(RedisError, _away)
    app.add_exception_handler(DfdError, _ours)
    app.add_exception_handler(Exception, _unexpected)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteError)
    plain = error.detail == HTTPStatus(error.status_code).phrase  # the framework's own, which says nothing
    sentence = _SENTENCES.get(error.status_code, error.detail) if plain else error.detail
    return problem(error.status_code, sentence, dict(error.headers or {}))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return problem(422, f"{where}: {first['msg']}.")


async def _away(request: Request, error: Exception) -> JSONResponse:
    return problem(503, AWAY, {"Retry-After": _RETRY_S})


async def _ours(request: Request, error: Exception) -> JSONResponse:
    status = 422 if isinstance(error, VideoError) else 503 if isinstance(error, QueueError | WireError) else 500
    return problem(status, str(error))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    return problem(500, "Something went wrong here that should not have; the server's log has it.")
