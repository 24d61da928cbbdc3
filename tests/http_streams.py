"""A real HTTP server for tests: files with a length, streams without one, HLS that goes on, logins."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av

Body = Callable[[], Iterator[bytes]]  # what is sent of a stream, as it comes


class HttpStreams(ThreadingHTTPServer):
    """`files` and `streams` by path; `streams` have no length. `login` is asked for where it is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, Callable[[], bytes]] = {}
        self.streams: dict[str, tuple[str, Body]] = {}  # content type and body
        self.login: str | None = None
        self.refuses_by = 401
        self.asked: list[str] = []
        self.logins: list[str] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: HttpStreams

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        if self.server.login is not None:
            self.server.logins.append(given)
            if given != self.server.login:
                self.send_response(self.server.refuses_by)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.end_headers()
                return
        if path in self.server.files:
            self._send_file(self.server.files[path]())
        elif path in self.server.streams:
            self._send_stream(*self.server.streams[path])
        else:
            self.send_error(404)

    def _send_file(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self._write(data)

    def _send_stream(self, kind: str, body: Body) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        for data in body():
            if not self._write(data):
                return

    def _write(self, data: bytes) -> bool:
        try:
            self.wfile.write(data)
            self.wfile.flush()
        except OSError:
            return False
        return True


@contextmanager
def serving() -> Iterator[HttpStreams]:
    """Such a server, until the block is left."""
    with HttpStreams() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()


def at_pace(data: bytes, seconds: float, step_s: float = 0.04) -> Body:
    """`data` evenly over `seconds`."""

    def send() -> Iterator[bytes]:
        count, started = round(seconds / step_s), time.monotonic()
        for n in range(count):
            yield data[len(data) * n // count : len(data) * (n + 1) // count]
            time.sleep(max(0.0, started + (n + 1) * step_s - time.monotonic()))

    return send


def remuxed(source: Path, target: Path, container: str, options: dict[str, str]) -> Path:
    """`source` in another container."""
    with av.open(str(source)) as film, av.open(str(target), "w", format=container, options=options) as other:
        stream = other.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(video=0):
            if packet.size:
                packet.stream = stream
                other.mux(packet)
    return target


def mjpeg(jpeg: bytes, fps: float, count: int) -> Body:
    """As cameras send it: one JPEG after the other, without times."""

    def send() -> Iterator[bytes]:
        started = time.monotonic()
        for n in range(count):
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            yield head.encode() + jpeg + b"\r\n"
            time.sleep(max(0.0, started + (n + 1) / fps - time.monotonic()))

    return send


class Hls:
    """Segments of one film and their list, which has `ahead` of them at first and then one more each `segment_s`."""

    def __init__(self, film: Path, folder: Path, segment_s: float, *, finished: bool, ahead: int = 3) -> None:
        folder.mkdir()
        options = {"hls_time": str(segment_s), "hls_list_size": "0", "hls_segment_filename": str(folder / "%03d.ts")}
        remuxed(film, folder / "all.m3u8", "hls", options)
        self.segments = sorted(path.name for path in folder.glob("*.ts"))
        self._folder, self._segment_s, self._finished, self._ahead = folder, segment_s, finished, ahead
        self._began: float | None = None

    def serve(self, server: HttpStreams) -> str:
        """The URL of the list."""
        for name in self.segments:
            server.files[f"/{name}"] = (self._folder / name).read_bytes
        server.files["/live.m3u8"] = self._list
        return server.url("/live.m3u8")

    def _list(self) -> bytes:
        self._began = time.monotonic() if self._began is None else self._began
        done = self._ahead + int((time.monotonic() - self._began) / self._segment_s)
        names = self.segments if self._finished else self.segments[:done]
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{self._segment_s:.0f}"]
        lines += [f"#EXTINF:{self._segment_s:.3f},\n{name}" for name in names]
        return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if self._finished else []), ""]).encode()
