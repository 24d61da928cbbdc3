"""Cameras that go, come back as others, refuse, keep silent, talk nonsense, or lose what they send."""

from __future__ import annotations

from pathlib import Path

from dfd_core.media import stream_name
from dfd_core.settings import VideoSettings
from tests.chaos.cameras import GARBAGE, HEADERS, SILENCE
from tests.chaos.fault import Fault
from tests.chaos.lossy import LossyRtsp
from tests.chaos.metrics import wait_until
from tests.chaos.system import LOGIN, PATIENCE_S, System, clip

RATE = "dfd_stream_frames_per_second"


class Killed(Fault):
    name = "RTSP server killed and back"
    brief = True

    def broken(self, system: System) -> None:
        system.camera.stop()

    def mended(self, system: System) -> None:
        system.camera.start()


class LongGone(Killed):
    name = "RTSP server gone for 70 s, so that pauses are at their longest"
    brief = False
    soaks = False
    lasts_s = 70.0


class Frozen(Fault):
    name = "RTSP server hangs, its connection open"

    def broken(self, system: System) -> None:
        system.camera.freeze()

    def mended(self, system: System) -> None:
        system.camera.start()


class Another(Fault):
    """The camera comes back with other pictures: `size`, and so many a second."""

    size, fps = (640, 480), 15

    def __init__(self) -> None:
        width, height = self.size
        self.name = f"back with {width}x{height} at {self.fps} a second"

    def broken(self, system: System) -> None:
        system.camera.stop()

    def mended(self, system: System) -> None:
        system.camera.start(clip(Path(system.folder, "other.mp4"), self.size, self.fps, seed=1))

    def after(self, system: System) -> str:
        system.camera.start()
        return ""


class Smaller(Another):
    size, fps = (320, 240), 5


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

    def broken(self, system: System) -> None:
        self._way = LossyRtsp(system.camera.port)
        url = system.camera.url.replace(str(system.camera.port), str(self._way.port))
        self._stream = stream_name(url)
        system.run("lossy", "ingest", url, video__rtsp_transport="udp")
        if wait_until(lambda: self._told(system) > 3, PATIENCE_S) is None:
            raise RuntimeError("no window came by UDP")
        self._way.share = 0.2

    def seen(self, system: System) -> bool:
        up, rate = (system.watch.value(name, stream=self._stream) for name in ("dfd_stream_up", RATE))
        return up == 0 or (rate is not None and rate < 0.75 * VideoSettings().sample_fps)

    def mended(self, system: System) -> None:
        self._way.share, self._before = 0.0, self._told(system)

    def recovered(self, system: System, scored: float) -> bool:
        return self._told(system) > self._before + 1

    def after(self, system: System) -> str:
        system.stop("lossy")
        self._way.close()
        return ""

    def _told(self, system: System) -> float:
        return system.watch.grown("dfd_windows_total", stream=self._stream)


FAULTS = (
    Killed(), LongGone(), Frozen(), Another(), Smaller(), Refuses(),
    Impostor("accepts and sends nothing", SILENCE, brief=True),
    Impostor("sends headers, then nothing", HEADERS),
    Impostor("sends garbage", GARBAGE),
    LossyUdp(),
)  # fmt: skip
