"""Cameras of this machine (v4l2://) that give no picture: each is one sentence, offline in metrics, and tried again."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from redis import Redis

from dfd_core.conditions import Condition
from dfd_core.process.children import SPAWN
from dfd_core.settings import Settings
from dfd_core.types import StreamState
from ingest.publisher import Publisher
from ingest.pump import Pump
from ingest.sources import open_source
from tests.test_sources import wait_for

SETTINGS = Settings().with_values({"video.reconnect_max_s": 0.5})
NOBODY = 65534


@pytest.fixture
def devices() -> Iterator[Path]:
    """A folder below /dev, where all cameras are, for everybody."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize(
    ("device", "says"),
    [
        ("none", "there is no such device; ls /dev/video* names those that are there"),
        ("file", "it is no camera, or one not plugged in"),
        ("folder", "it is no camera, or one not plugged in"),
        ("/dev/null", "it is no camera, or one not plugged in"),
    ],
)
def test_what_is_no_camera_is_told_and_waited_for(devices: Path, device: str, says: str, redis_client: Redis) -> None:
    (devices / "file").write_bytes(b"no camera")
    (devices / "folder").mkdir()
    url = f"v4l2://{devices / device}"  # /dev/null stays as it is
    source = open_source(url, SETTINGS.video)
    stop = threading.Event()
    pump = Pump(source, Publisher(redis_client, source.name, source.live, SETTINGS, stop), SETTINGS, stop)
    threading.Thread(target=pump.run, daemon=True).start()
    wait_for(lambda: source.reconnects > 1)
    status = pump.status()
    assert status.error == f"Cannot open {url}: {says}."
    assert (status.live, status.state, status.condition) == (True, StreamState.CONNECTING, Condition.OFFLINE)
    source._newest._stop.set()  # type: ignore[attr-defined]  # what closing does


def tell(url: str, pipe: Connection) -> None:
    if os.getuid() == 0:
        os.setuid(NOBODY)  # root may open everything
    source = open_source(url, SETTINGS.video)
    threading.Thread(target=lambda: next(source.frames(), None), daemon=True).start()
    wait_for(lambda: source.trouble)
    pipe.send(str(source.trouble))


def test_a_camera_that_this_user_may_not_open_is_told(devices: Path) -> None:
    device = devices / "locked"
    device.touch(0)
    receiving, sending = SPAWN.Pipe(duplex=False)
    child = SPAWN.Process(target=tell, args=(f"v4l2://{device}", sending))
    child.start()
    assert receiving.poll(180)
    why = "permission denied; let this user into the group that owns it, mostly video"
    assert receiving.recv() == f"Cannot open v4l2://{device}: {why}."
    child.join()
