"""Cameras that go, come back as others, refuse, keep silent, talk nonsense, or lose what they send."""

from __future__ import annotations

from pathlib import Path

from dfd_core.media import stream_name
from dfd_core.settings import VideoSettings
from tests.chaos.cameras import GARBAGE, HEADERS, SILENCE
from tests.chaos.fault import Fault
from tests.chaos.films import H264, OTHERS, clip, encoded
from tests.chaos.lossy import LossyRtsp
from tests.chaos.metrics import wait_until
from tests.chaos.system import LOGIN, PATIENCE_S, System

RATE = "dfd_stream_frames_per_second"


class Killed(Fault):
    name = "RTSP server killed and back"
    brief = True

    def broken(self, system: System) -> None:
        system.camera.stop()

    def mended(self, system: System) -> None:
        system.camera.start()


class LongGone(Killed):
    """After half a minute pauses are `video.reconnect_max_s` long: after ten minutes it comes back the same."""

    name = "RTSP server gone for {}, so that pauses are at their longest"
    brief = False
    soaks = False
    lasts_s = 70.0
    long_s = 600.0


class Frozen(Fault):
    name = "RTSP server hangs, its connection open"

    def broken(self, system: System) -> None:
        system.camera.freeze()

    def mended(self, system: System) -> None:
        system.camera.start()


class Another(Fault):
    """The camera comes back with other pictures: their size, how many a second, and how they are encoded."""

    def __init__(self, size: tuple[int, int], fps: int, codec: str = H264) -> None:
        self._clip = size, fps, codec
        kind = f"{size[0]}x{size[1]} at {fps} a second"
        self.name = f"back with {kind if codec == H264 else codec.upper()}"
        self.soaks = codec == H264  # others are encoded first, which takes a while

    def broken(self, system: System) -> None:
        size, fps, codec = self._clip
        path = clip(Path(system.folder, f"{size[0]}-{fps}.mp4"), size, fps, seed=1)
        self._path = path if codec == H264 else encoded(path, codec)
        system.camera.stop()

    def mended(self, system: System) -> None:
        system.camera.start(self._path)

    def after(self, system: System) -> str:
        system.camera.start()
        return ""


class Refuses(Fault):
    name = "401 after a password change"
    recovered_s = 45.0  # it knocks seldom, so that no account is locked: first after 30 s

    def broken(self, system: System) -> None:
        system.camera.start(login="viewer:another-one")

    def seen(self, system: System) -> bool:
        return system.watch.value("dfd_stream_state", stream=system.stream, state="refused") == 1

    def mended(self, system: System) -> None:
        system.camera.start(login=LOGIN)


class Impostor(Fault):
    """Another program answers at the camera's address."""

    def __init__(self, name: str, how: str, *, brief: bool = False) -> None:
        self.name, self._how, self.brief = name, how, brief

    def broken(self, system: System) -> None:
        system.camera.pretend(self._how)

    def mended(self, system: System) -> None:
        system.camera.start()


class LossyUdp(Fault):
    """A stream of its own, from the same camera, of which few pictures can be decoded."""

    name = "20 % of the UDP packets lost"
    soaks = False
    _way: LossyRtsp | None = None

    def broken(self, system: System) -> None:
        way = self._way = LossyRtsp(system.camera.port)
        url = system.camera.url.replace(str(system.camera.port), str(way.port))
        self._stream = stream_name(url)
        system.run("lossy", "ingest", url, video__rtsp_transport="udp")
        if wait_until(lambda: self._told(system) > 3, PATIENCE_S) is None:
            raise RuntimeError("no window came by UDP")
        way.share = 0.2

    def seen(self, system: System) -> bool:
        up, rate = (system.watch.value(name, stream=self._stream) for name in ("dfd_stream_up", RATE))
        return up == 0 or (rate is not None and rate < 0.75 * VideoSettings().sample_fps)

    def mended(self, system: System) -> None:
        assert self._way is not None
        self._way.share, self._before = 0.0, self._told(system)

    def recovered(self, system: System, scored: float) -> bool:
        return self._told(system) > self._before + 1

    def after(self, system: System) -> str:
        system.stop("lossy")
        return ""

    def close(self) -> None:
        if self._way is not None:
            self._way.close()

    def _told(self, system: System) -> float:
        return system.watch.grown("dfd_windows_total", stream=self._stream)


FAULTS = (
    Killed(), LongGone(), Frozen(),
    Another((640, 480), 15), Another((320, 240), 5),
    *(Another((480, 270), 8, codec) for codec in OTHERS),
    Refuses(),
    Impostor("accepts and sends nothing", SILENCE, brief=True),
    Impostor("sends headers, then nothing", HEADERS),
    Impostor("sends garbage", GARBAGE),
    LossyUdp(),
)  # fmt: skip
