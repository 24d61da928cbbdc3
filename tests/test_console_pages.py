"""Pages of the console in Chromium over what a test puts into Redis: sizes, sound, folders, films, history."""

from __future__ import annotations

from urllib.parse import urlsplit

import cv2
import httpx
import numpy as np
import pytest
from playwright.sync_api import expect

from dfd_core.errors import SettingsError
from dfd_core.queue import keys
from dfd_core.queue.alarms import AlarmBook
from dfd_core.queue.connection import open_client
from dfd_core.queue.kept import latest_scenes, watch
from dfd_core.settings import RedisSettings, Settings
from dfd_core.types import State
from ingest.scene import EVERY_S, SceneShower
from ingest.sources.synthetic import Scene, render_synthetic
from tests.clips import write_clip
from tests.fixtures_console import Seen, needs_chromium, site
from tests.fixtures_monitor import FAKE_FROM_TWO, announce, feed, window, windows
from tests.fixtures_redis import free_port
from tests.test_alarms import alarm
from workers.serve.console.history import face_history, most_similar

SIZES = ((390, 844), (1280, 800), (2560, 1440))
COUNT_PLAYS = """() => {
  window.plays = 0;
  HTMLMediaElement.prototype.play = function() { window.plays += 1; return Promise.resolve(); };
}"""
# What no test can make: entries of a folder that is dropped, as browsers give them.
DROP_FOLDER = """root => {
  const file = name => ({ isFile: true, file: yes => yes(new File(["x" + name], name)) });
  const folder = (...inside) => ({ isDirectory: true, createReader: () => ({ left: inside,
    readEntries(yes) { yes(this.left.splice(0, 1)); } }) });
  const tree = folder(file("one.mp4"), file("notes.txt"), folder(file("two.JPG")));
  const event = new Event("drop", { bubbles: true, cancelable: true });
  event.dataTransfer = { items: [{ webkitGetAsEntry: () => tree }], files: [] };
  root.dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """What lies below bulk.roots."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def pages(valkey_url, tiny_model, root, tmp_path_factory):
    """URL of `dfd serve` for all tests here; each finds Redis empty."""
    values = {"model.path": str(tiny_model), "bulk.roots": str(root), "serve.requests_per_minute": 10_000}
    with site(tmp_path_factory.mktemp("pages"), "serve", "--redis", valkey_url, **values) as url:
        yield url


def submitted(url, **what) -> str:
    reply = httpx.post(f"{url}/v1/files", trust_env=False, **what)
    assert reply.status_code == 202, reply.text
    return reply.json()["id"]


@needs_chromium
@pytest.mark.slow
def test_every_page_fits_every_screen_and_asks_no_other_host(pages, page, desk, redis_client, rig, root):
    announce(redis_client, "cam", live=True)
    feed(redis_client, *windows("cam", FAKE_FROM_TWO))
    desk.turns(2)
    (found,) = AlarmBook(redis_client).find()
    render_synthetic(root / "film.mp4", Scene(duration=2, fake_from=1, size=(480, 270), fps=8))
    film = submitted(pages, data={"path": "film.mp4"})
    rig.work(**{"bulk.roots": str(root)})
    seen = Seen(page)
    every = ("/", "/alarms", f"/alarm/{found.id}", "/files", f"/file/{film}", "/model", "/login", "/docs", "/nothing")
    for path in every:
        page.goto(pages + path)
        page.wait_for_load_state("networkidle") if path in ("/login", "/docs") else page.wait_for_timeout(300)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
    assert seen.hosts == {urlsplit(pages).netloc}
    assert [said for said in seen.complaints if "404" not in said] == []  # /nothing


@needs_chromium
@pytest.mark.slow
def test_an_alarm_page_tells_what_else_the_face_did_and_which_alarms_were_like_it(pages, page, desk, redis_client):
    announce(redis_client, "cam", live=True)
    book = AlarmBook(redis_client)
    book.open(alarm(1, track=8, checks={"noise": 0.1}))
    book.open(alarm(2, track=9, checks={"noise": 0.9}))
    feed(redis_client, *windows("cam", FAKE_FROM_TWO), *(window("cam", seq, 0.1) for seq in range(7, 16)))
    desk.turns(2)
    newest = book.find()[0]
    states = [verdict.state for verdict in face_history(redis_client, newest)]
    assert State.FAKE in states
    assert states[-1] is State.AUTHENTIC
    page.goto(f"{pages}/alarm/{newest.id}")
    expect(page.get_by_text("▲ fake, probability 0.90")).to_be_visible()
    expect(page.get_by_text("● authentic").first).to_be_visible()
    expect(page.get_by_role("link", name="cam, face 9")).to_be_visible()


def test_the_most_similar_alarms_come_first_and_none_that_is_later():
    now = alarm(5, checks={"appearance": 0.9, "texture": 0.2})
    same = alarm(1, checks={"appearance": 0.85, "texture": 0.25})
    other = alarm(2, checks={"appearance": 0.1, "texture": 0.9})
    unknown, later = alarm(3, checks={}), alarm(6, checks=dict(now.checks))
    assert most_similar(now, [later, unknown, other, same, now], 10) == [same, other, unknown]
    assert most_similar(now, [other, same], 1) == [same]


@needs_chromium
@pytest.mark.slow
def test_an_alarm_sounds_once_unless_the_sound_is_off(pages, page, redis_client):
    page.goto(pages)
    expect(page.get_by_text("No stream yet")).to_be_visible()
    page.wait_for_timeout(1500)  # so that the page has seen that there is none
    page.evaluate(COUNT_PLAYS)
    book = AlarmBook(redis_client)
    book.open(alarm(1, track=1))
    page.wait_for_function("window.plays === 1")
    page.get_by_role("checkbox", name="Sound when an alarm begins").press("Space")  # by keyboard
    expect(page.get_by_role("checkbox", name="Sound when an alarm begins")).not_to_be_checked()
    book.open(alarm(2, track=2))
    expect(page.get_by_role("link", name="cam, face 2")).to_be_visible()
    page.wait_for_timeout(500)
    assert page.evaluate("window.plays") == 1


@needs_chromium
@pytest.mark.slow
def test_folders_are_chosen_and_dropped_and_what_is_no_video_is_left_out(pages, page, redis_client, tmp_path):
    (tmp_path / "case" / "deep").mkdir(parents=True)
    write_clip(tmp_path / "case" / "deep" / "a.mp4", frames=4, size=(64, 48))
    (tmp_path / "case" / "notes.txt").write_text("of mine")
    page.goto(f"{pages}/files")
    chooser = page.locator("input[type=file]").nth(1)
    page.wait_for_function("document.querySelectorAll('input[type=file]')[1].webkitdirectory")
    chooser.set_input_files(str(tmp_path / "case"))
    expect(page.get_by_role("row", name="a.mp4")).to_be_visible()
    page.locator(".q-uploader").first.evaluate(DROP_FOLDER)
    for name in ("one.mp4", "two.JPG"):
        expect(page.get_by_role("row", name=name)).to_be_visible()
    assert page.get_by_role("row", name="notes.txt").count() == 0


@needs_chromium
@pytest.mark.slow
def test_a_film_is_shown_beside_its_curve(pages, page, redis_client, rig, root, clip):
    render_synthetic(root / "film.mp4", Scene(duration=4, fake_from=2, size=(480, 270), fps=8))
    film = submitted(pages, data={"path": "film.mp4"})
    upload = submitted(pages, files={"file": ("up.mp4", clip.read_bytes())})
    rig.work(**{"bulk.roots": str(root)})
    page.goto(f"{pages}/file/{film}")
    video = page.locator("video")
    expect(video).to_be_attached()
    expect(page.locator(".mark")).to_be_attached()
    page.wait_for_function("document.querySelector('video').duration > 3")
    page.wait_for_function("getComputedStyle(document.querySelector('.mark')).display === 'block'")
    box = page.locator(".film").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_function("parseFloat(document.querySelector('.mark').style.left) > 30")
    assert video.evaluate("film => film.currentTime") == pytest.approx(2.0, abs=0.7)
    part = httpx.get(f"{pages}/v1/files/{film}/content", headers={"range": "bytes=0-9"}, trust_env=False)
    assert (part.status_code, len(part.content), part.headers["content-type"]) == (206, 10, "video/mp4")
    assert httpx.get(f"{pages}/v1/files/{upload}/content", trust_env=False).status_code == 404
    (root / "film.mp4").write_bytes(b"another")
    assert httpx.get(f"{pages}/v1/files/{film}/content", trust_env=False).status_code == 404


def test_a_scene_is_shown_while_somebody_looks_and_no_oftener_than_each_second(redis_client):
    now_s = 0.0
    shower = SceneShower(redis_client, "cam", lambda: now_s)
    picture = np.zeros((720, 1280, 3), np.uint8)
    shower.show(picture)
    assert latest_scenes(redis_client, ["cam"]) == {}
    watch(redis_client)
    shower.show(picture)
    assert latest_scenes(redis_client, ["cam"]) == {}  # it is not yet time
    now_s = EVERY_S
    shower.show(picture)
    found = latest_scenes(redis_client, ["cam", "door"])
    assert cv2.imdecode(np.frombuffer(found["cam"], np.uint8), cv2.IMREAD_COLOR).shape == (270, 480, 3)
    assert 0 < redis_client.pttl(keys.scene_key("cam")) <= 10_000
    redis_client.delete(keys.scene_key("cam"), keys.WATCHED_KEY)
    now_s = 2 * EVERY_S
    shower.show(picture)
    assert latest_scenes(redis_client, ["cam"]) == {}
    assert Settings().console.scene == "off"
    with pytest.raises(SettingsError, match=r"console\.scene"):
        Settings().with_values({"console.scene": "yes"})


def test_a_scene_of_a_redis_that_is_away_costs_nothing():
    with open_client(RedisSettings(url=f"redis://127.0.0.1:{free_port()}/0")) as client:
        SceneShower(client, "cam").show(np.zeros((8, 8, 3), np.uint8))
