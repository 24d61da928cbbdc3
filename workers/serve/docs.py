"""/docs: the API as a page that asks no other host for anything, drawn from the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from jinja2 import Environment

from dfd_core import __version__
from workers.serve.parts import Needs

router = APIRouter(include_in_schema=False)

_PAGE = Environment(autoescape=True).from_string((files("workers.serve") / "docs.html").read_text(encoding="utf-8"))


def role_of(route: APIRoute) -> str:
    """The role that a route needs, or `public`."""
    needed = [d.dependency.role.word for d in route.dependencies if isinstance(d.dependency, Needs)]
    return needed[0] if needed else "public"


@router.get("/docs", response_class=HTMLResponse)
def docs(request: Request) -> HTMLResponse:
    """The page."""
    return HTMLResponse(_PAGE.render(version=__version__, routes=list(_routes(request.app))))


def _routes(app: FastAPI) -> Iterator[dict[str, Any]]:
    schema = app.openapi()["paths"]
    for route in app.state.routes:
        if route.include_in_schema:
            method = min(route.methods or {"GET"})
            told = schema[route.path_format][method.lower()]
            yield {
                "method": method,
                "path": route.path_format,
                "role": role_of(route),
                "what": told.get("description", ""),
                "parameters": [(p["name"], _what(p)) for p in told.get("parameters", [])],
            }


def _what(parameter: dict[str, Any]) -> str:
    kind = parameter.get("schema", {})
    return parameter.get("description") or json.dumps({k: v for k, v in kind.items() if k not in ("title", "anyOf")})
