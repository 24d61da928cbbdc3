"""Takes the pictures of docs/console.md, of the generated scene, in Chromium: python deploy/console_pictures.py"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from ingest.sources.synthetic import Scene, render_synthetic

SITE = "http://127.0.0.1:8470"
STREAMS = (
    "synthetic://camera?live=1&every=60&fake_from=12&fake_for=45&size=960x540&fps=16",
    "synthetic://film?live=1&duration=600&fake_from=590&size=960x540&fps=16",
)
FILES = {"interview.mp4": 3.0, "lobby.mp4": 0.0}  # from when on each is fake, s, of three
PATIENCE_MS = 120_000


def main(words: Sequence[str] | None = None) -> None:
    """Watch, wait for the alarm and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs")
    out: Path = parser.parse_args(words).out
    with watched() as folder, sync_playwright() as player:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = player.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        alarm = take(browser, out, folder)
        opened(browser, alarm).screenshot(path=out / "console-alarm.png", full_page=True)
        browser.close()
    for path in out.glob("console-*.png"):
        Image.open(path).convert("RGB").quantize(dither=Image.Dither.NONE).save(path, optimize=True)


def take(browser: Browser, out: Path, folder: Path) -> str:
    """All pictures but that of the alarm, whose address is given."""
    page = opened(browser, SITE)
    alarm = page.get_by_role("link", name="camera, face 0: thought fake").first
    alarm.wait_for()
    page.wait_for_timeout(6_000)  # for the curve, and the evidence
    page.screenshot(path=out / "console-streams.png")
    opened(browser, SITE, phone=True).screenshot(path=out / "console-phone.png")
    address = f"{SITE}{alarm.get_attribute('href')}"
    opened(browser, f"{SITE}/model").screenshot(path=out / "console-model.png")
    files = opened(browser, f"{SITE}/files")
    files.locator("input[type=file]").first.set_input_files([folder / name for name in FILES])
    for name in FILES:
        files.get_by_role("row", name=name).get_by_text("done").wait_for()
    files.screenshot(path=out / "console-files.png")
    return address


def opened(browser: Browser, address: str, phone: bool = False) -> Page:
    """A page that shows what lies at an address, on a dark phone or on a bright screen."""
    size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 800}
    page = browser.new_page(viewport=size, color_scheme="dark" if phone else "light")
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    page.wait_for_timeout(4_000)  # pages read once a second
    return page


@contextmanager
def watched() -> Iterator[Path]:
    """The console over a camera that turns fake, and a folder with files to drop."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, fake_from in FILES.items():
            render_synthetic(folder / file, Scene(duration=3, fake_from=fake_from, size=(960, 540), fps=16))
        words = ["watch", "--console", "--set", f"evidence.folder={folder / 'evidence'}", *STREAMS]
        process = subprocess.Popen([sys.executable, "-m", "dfd_core.cli", *words], stdout=subprocess.DEVNULL)
        try:
            wait_for(process)
            yield folder
        finally:
            process.terminate()
            process.wait(60)


def wait_for(process: subprocess.Popen[bytes]) -> None:
    """Until the site answers."""
    while True:
        if process.poll() is not None:
            sys.exit("dfd watch --console ended: run 'make console' to see why.")
        try:
            httpx.get(f"{SITE}/readyz", trust_env=False).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.2)


if __name__ == "__main__":
    main()
