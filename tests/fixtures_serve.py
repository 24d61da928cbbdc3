"""`dfd serve` in the test's own process: a real uvicorn on loopback over a real Redis."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from dfd_core.settings import Settings
from workers.serve.app import make_app, make_parts
from workers.serve.tokens import Role, new_token

Served = Callable[..., httpx.Client]


@contextmanager
def running(settings: Settings) -> Iterator[httpx.Client]:
    """A client of a server with these settings."""
    app = make_app(make_parts(settings))
    config = uvicorn.Config(app, log_config=None, proxy_headers=False, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            app.state.over.set()
            thread.join(60)


@pytest.fixture
def served(redis_url: str, tiny_model: Path) -> Iterator[Served]:
    """`served(**values)` starts a server with these settings and gives a client of it."""
    stack: list[object] = []

    def start(**values: object) -> httpx.Client:
        common = {"redis.url": redis_url, "model.path": str(tiny_model), "worker.threads": 1}
        settings = Settings().with_values({**common, **values})
        context = running(settings)
        stack.append(context)
        return context.__enter__()

    yield start
    for context in stack:
        context.__exit__(None, None, None)  # type: ignore[attr-defined]


@pytest.fixture
def tokens(tmp_path: Path) -> tuple[str, dict[Role, str]]:
    """A file of tokens, and the token of each role."""
    made = {role: new_token(role) for role in Role}
    path = tmp_path / "tokens"
    path.write_text("# who may ask\n\n" + "".join(f"{line} somebody\n" for _, line in made.values()))
    return str(path), {role: token for role, (token, _) in made.items()}
