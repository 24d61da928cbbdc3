"""The console in Chromium: a command that serves it, a browser, and what that asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from dfd_core.environment import environment_of
from dfd_core.settings import Settings
from tests.fixtures_redis import free_port

CHROMIUM = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
PATIENCE_MS = int(os.environ.get("PATIENCE_MS", "240000"))  # of a busy machine
CAMERA = "synthetic://camera?live=1&duration=900&fake_from=6&size=640x360&fps=16"
GATE = "synthetic://gate?live=1&every=20&fake_for=8&size=480x270&fps=8"  # begins an alarm again and again


@contextmanager
def site(folder: Path, *argv: str, **values: object) -> Iterator[str]:
    """A command that serves the console, and its URL."""
    port = free_port()
    quiet = {f"metrics.{part}_port": 0 for part in ("ingest", "worker", "monitor", "evidence")}
    settings = Settings().with_values({"serve.port": port, **quiet, **values})
    environment = {**os.environ, **environment_of(settings)}
    with (folder / "out.log").open("wb") as out:
        command = [sys.executable, "-m", "dfd_core.cli", *argv]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while True:
            assert process.poll() is None, (folder / "out.log").read_text()
            assert time.monotonic() < deadline, (folder / "out.log").read_text()
            try:
                httpx.get(f"{url}/readyz", trust_env=False).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`dfd watch --console` on a camera that turns fake, and on one that does so again and again."""
    folder = tmp_path_factory.mktemp("console")
    values = {"evidence.folder": str(folder / "evidence"), "console.scene": "on"}
    with site(folder, "watch", "--console", CAMERA, GATE, **values) as url:
        yield url


class Seen:
    """What a browser asked for, and what it complained about."""

    def __init__(self, page: Page) -> None:
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("websocket", lambda socket: self.hosts.add(urlsplit(socket.url).netloc))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        made = browser.new_page(viewport={"width": 390, "height": 844})
        made.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield made
        browser.close()
