"""The app: all routes behind one gate."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry

from dfd_core import __version__
from dfd_core.models.store import model_name
from dfd_core.queue.broker import connect
from dfd_core.queue.connection import open_async_client
from dfd_core.settings import Settings
from workers.serve import alarms, docs, events, evidence, files, health, score, streams
from workers.serve.feed import Feed
from workers.serve.gate import Gate
from workers.serve.metrics import ServeMetrics
from workers.serve.parts import Parts
from workers.serve.pool import ScorePool
from workers.serve.problems import RESPONSES, add_handlers
from workers.serve.tokens import TokenBook

PUBLIC = ("/healthz", "/readyz", "/docs")  # what needs no token; /openapi.json besides


def make_parts(settings: Settings) -> Parts:
    """All that the app stands on; SettingsError, ModelError or QueueError where that cannot be."""
    tokens = TokenBook(settings.serve.tokens)
    model = model_name(health.own_card(settings))
    metrics = ServeMetrics(CollectorRegistry())
    return Parts(
        settings=settings,
        redis=connect(settings.redis),
        events=open_async_client(settings.redis),
        tokens=tokens,
        pool=ScorePool(settings, metrics.score_restarts.inc),
        metrics=metrics,
        model=model,
    )


def make_app(parts: Parts) -> FastAPI:
    """The API on `parts`, which end with it. `app.state.over` is set when streams of events shall end.

    `app.state.routes` are those of the API.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.over.set()
        app.state.feed.stop()
        parts.pool.close()
        await parts.events.aclose()
        parts.redis.close()

    app = FastAPI(
        title="dfd",
        version=__version__,
        description="Streaming deepfake detection: files, streams, alarms, events.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a name that is not there is told so, whoever the request says that we are
        responses=RESPONSES,
    )
    app.state.parts, app.state.over = parts, threading.Event()
    app.state.feed, app.state.routes = Feed(parts), list[APIRoute]()
    for module in (files, score, streams, alarms, evidence, events, health, docs):
        app.include_router(module.router)
        app.state.routes += [route for route in module.router.routes if isinstance(route, APIRoute)]
    open_to_all = {route.path for route in app.state.routes if docs.role_of(route) == "public"}
    if not open_to_all <= set(PUBLIC):
        raise AssertionError(f"These say not who may use them: {open_to_all - set(PUBLIC)}")
    add_handlers(app)
    app.add_middleware(Gate, parts=parts)
    return app
