"""PyAV against OpenCV's VideoCapture, side by side in one run: throughput, a silent server, a server that dies.

    python benchmarks/decoders.py [--seconds 10] [--size 1280x720]

Throughput is in frames a second, best of the rounds, all in one process on the same file, alternately; pictures are RGB
at full size, and what is not looked at is decoded but not converted. The silent server accepts a connection and then
sends nothing; the dying one sends a true MPEG-TS stream over HTTP at its own pace, then falls silent with the
connection open, as a camera does whose power is cut. Both decoders get the same timeouts, 8 s to open and 3 s to read,
as each offers them (`av.open(timeout=...)`, CAP_PROP_OPEN_TIMEOUT_MSEC and CAP_PROP_READ_TIMEOUT_MSEC); and OpenCV runs
once more as it comes. An attempt that gives no sign for 45 s is killed.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import queue
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

OPEN_S, READ_S = 8.0, 3.0  # an MPEG-TS is looked at for 5 s before it counts as open
PATIENCE_S = 45.0
LIVE_S = 12.0  # of video before the dying server falls silent
SKIP = 3


def write_clip(path: Path, seconds: float, size: tuple[int, int]) -> None:
    """H.264 of a moving, grainy picture: about what a camera's encoder has to do."""
    width, height = size
    rng = np.random.default_rng(0)
    grain = rng.integers(0, 24, (height + 64, width + 64, 3), dtype=np.uint8)
    xs = np.linspace(0, 6 * np.pi, width * 2)
    scene = ((np.sin(xs)[None, :, None] + np.cos(xs[:height])[:, None, None]) * 50 + 115).astype(np.uint8)
    scene = np.repeat(scene, 3, axis=2)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "veryfast", "g": "25"}
        for index in range(int(seconds * 25)):
            x, (u, v) = index * 3 % width, rng.integers(0, 64, 2)
            image = cv2.add(scene[:, x : x + width], grain[v : v + height, u : u + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())


def pyav(path: str, every: int, threads: str) -> int:
    """Frames decoded; every `every`-th becomes RGB (0: none)."""
    count = 0
    with av.open(path) as container:
        video = container.streams.video[0]
        video.thread_type = threads
        for count, frame in enumerate(container.decode(video), 1):
            if every and count % every == 0:
                frame.to_ndarray(format="rgb24")
    return count


def opencv(path: str, every: int) -> int:
    """The same through VideoCapture."""
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    count = 0
    while capture.grab():
        count += 1
        if every and count % every == 0:
            cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
    capture.release()
    return count


def throughput(path: str, rounds: int) -> None:
    """Print frames a second of each way and the ratio to OpenCV's."""
    print(f"{'frames a second':<34}{'PyAV frame':>12}{'PyAV slice':>12}{'OpenCV':>12}{'frame/OpenCV':>14}")
    for label, every in (("decode only", 0), (f"every {SKIP}rd as RGB", SKIP), ("all as RGB", 1)):
        ways: list[Callable[[], int]] = [
            lambda every=every: pyav(path, every, "AUTO"),
            lambda every=every: pyav(path, every, "SLICE"),
            lambda every=every: opencv(path, every),
        ]
        best = [0.0] * len(ways)
        for _ in range(rounds):
            for n, way in enumerate(ways):
                started = time.perf_counter()
                best[n] = max(best[n], way() / (time.perf_counter() - started))
        print(f"{label:<34}" + "".join(f"{rate:>12.0f}" for rate in best) + f"{best[0] / best[2]:>14.2f}", flush=True)


class Server:
    """A TCP server that sends `data` in `LIVE_S` seconds to its client and then keeps the connection open, silent."""

    def __init__(self, data: bytes) -> None:
        self.quiet_at = 0.0  # monotonic; from when on nothing comes
        self._data = data
        self._clients: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the client has left, or the listener was closed
            client, _ = self._listener.accept()
            self._clients.append(client)
            self.quiet_at = time.monotonic()
            for part in range(100 if self._data else 0):
                client.sendall(self._data[len(self._data) * part // 100 : len(self._data) * (part + 1) // 100])
                time.sleep(LIVE_S / 100)
                self.quiet_at = time.monotonic()

    def close(self) -> None:
        """Close everything."""
        for each in (self._listener, *self._clients):
            each.close()


Events = multiprocessing.Queue  # of the time of each frame, then None


def watch_pyav(url: str, events: Events) -> None:
    """Read until PyAV gives up."""
    with contextlib.suppress(av.FFmpegError), av.open(url, timeout=(OPEN_S, READ_S)) as container:
        for _ in container.decode(video=0):
            events.put(time.monotonic())
    events.put(None)


def watch_opencv(url: str, events: Events, limits: bool = True) -> None:
    """Read until OpenCV gives up, with its timeouts set."""
    open_ms, read_ms = int(OPEN_S * 1000), int(READ_S * 1000)
    both = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, open_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, read_ms]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, both if limits else [])
    while capture.read()[0]:
        events.put(time.monotonic())
    events.put(None)


def watch_opencv_as_it_comes(url: str, events: Events) -> None:
    """Read until OpenCV gives up, with its defaults."""
    watch_opencv(url, events, limits=False)


def give_up(watch: Callable[..., None], scheme: str, data: bytes) -> str:
    """How long after the server fell silent `watch` returns, in a process of its own that can be killed."""
    context = multiprocessing.get_context("spawn")
    events, server, frames = context.Queue(), Server(data), 0
    process = context.Process(target=watch, args=(f"{scheme}://127.0.0.1:{server.port}/x.ts", events))
    process.start()
    try:
        while events.get(timeout=PATIENCE_S) is not None:
            frames += 1
        return f"back {time.monotonic() - server.quiet_at:.1f} s after the silence began, {frames} frames"
    except queue.Empty:
        if not process.is_alive():
            return f"crashed with exit code {process.exitcode}, {frames} frames"
        return f"hangs, killed after {PATIENCE_S:.0f} s without a sign, {frames} frames"
    finally:
        process.kill()
        server.close()


def losses(stream: bytes) -> None:
    """Print when each way gives up on a server that never speaks and on one that stops."""
    ways = {"PyAV": watch_pyav, "OpenCV": watch_opencv, "OpenCV, as it comes": watch_opencv_as_it_comes}
    answer = b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + stream
    for label, scheme, data in (("accepts, sends nothing", "rtsp", b""), ("dies in mid-stream", "http", answer)):
        for name, watch in ways.items():
            print(f"{label:<24}{name:<22}{give_up(watch, scheme, data)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    print(f"PyAV {av.__version__}, OpenCV {cv2.__version__}, {args.size} H.264, {args.seconds:g} s")
    with tempfile.TemporaryDirectory() as folder:
        clip, stream = Path(folder) / "clip.mp4", Path(folder) / "clip.ts"
        write_clip(clip, args.seconds, (width, height))
        throughput(str(clip), args.rounds)
        write_clip(stream, LIVE_S, (640, 360))
        losses(stream.read_bytes())


if __name__ == "__main__":
    main()
