"""Mounts the console beside the API; once a process, for NiceGUI has one app."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from nicegui import app as nicegui_app
from nicegui import ui
from redis.exceptions import RedisError

from dfd_core.queue.connection import open_client
from workers.serve.console import alarms, model, streams, uploads
from workers.serve.console.shell import Console
from workers.serve.console.wall import Wall
from workers.serve.parts import COOKIE, Parts
from workers.serve.problems import AWAY, refusal

_LOGIN = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>dfd: token</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:2rem auto;padding:0 1rem}
input,button{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;margin:.3rem 0}</style></head><body>
<h1>dfd</h1>
<form method="post" action="/login"><label for="token">Your token (dfd serve --new-token makes them)</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Show it</button></form><p role="alert">MESSAGE</p></body></html>"""


def mount(app: FastAPI, parts: Parts) -> None:
    """Add the pages to `app`."""
    wall = Wall(parts, open_client(parts.settings.redis))
    console = Console(parts, wall)

    @app.get("/login", include_in_schema=False, response_class=HTMLResponse)
    def form() -> HTMLResponse:
        return HTMLResponse(_LOGIN.replace("MESSAGE", ""))

    @app.post("/login", include_in_schema=False)
    def login(token: Annotated[str, Form(max_length=200)], request: Request) -> Response:
        if parts.tokens.role_of(token) is None:
            return HTMLResponse(_LOGIN.replace("MESSAGE", "This token is not known."), 401)
        reply = RedirectResponse("/", 303)
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        reply.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure)
        return reply

    @app.api_route("/v1/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    def nothing(rest: str) -> None:
        raise refusal(404, "There is nothing here: /docs lists what there is.")

    _add_pages(console)
    nicegui_app.on_startup(wall.start)
    nicegui_app.on_shutdown(wall.stop)
    ui.run_with(app, title="dfd", dark=None, show_welcome_message=False)


def _shown(page: Callable[..., None], *words: object) -> None:
    """A page, or what there is of it and a sentence where Redis is away."""
    try:
        page(*words)
    except RedisError:
        ui.label(AWAY).classes("error").props("role=alert")


def _add_pages(console: Console) -> None:
    @ui.page("/")
    def home(request: Request) -> None:
        _shown(streams.page, console, request)

    @ui.page("/alarms")
    def all_alarms(request: Request) -> None:
        _shown(alarms.index, console, request)

    @ui.page("/alarm/{name}")
    def one_alarm(request: Request, name: str) -> None:
        _shown(alarms.page, console, request, name)

    @ui.page("/files")
    def all_files(request: Request) -> None:
        _shown(uploads.page, console, request)

    @ui.page("/file/{name}")
    def one_file(request: Request, name: str) -> None:
        _shown(uploads.one, console, request, name)

    @ui.page("/model")
    def the_model(request: Request) -> None:
        _shown(model.page, console, request)
