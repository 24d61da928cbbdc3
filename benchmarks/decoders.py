"""PyAV against OpenCV's VideoCapture, side by side in one run: throughput, a silent server, a server that dies.

    python benchmarks/decoders.py [--seconds 10] [--size 1280x720]

Throughput is in frames a second, best of the rounds, both in one process on the same file, alternately. `read all` and
`every 3rd` give RGB pictures at full size; what is not looked at is decoded but not converted. The silent server
accepts a connection and then sends nothing; the dying one sends a true MPEG-TS stream over HTTP at its own pace, then
falls silent with the connection open, as a camera does whose power is cut. Both get the same timeout of 3 s, as each
decoder offers it: PyAV `av.open(timeout=...)`, OpenCV CAP_PROP_OPEN_TIMEOUT_MSEC and CAP_PROP_READ_TIMEOUT_MSEC; and
once OpenCV as it comes, without. An attempt that is not back after 45 s is killed.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np

TIMEOUT_S = 3.0
PATIENCE_S = 45.0
LIVE_S = 2.0  # of video before the dying server falls silent
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


@contextlib.contextmanager
def server(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that lets `talk` speak to each client and then keeps the connection open; yields its port."""
    clients = []

    def accept() -> None:
        with contextlib.suppress(OSError):  # the listener was closed: the end
            while True:
                client, _ = listener.accept()
                clients.append(client)
                threading.Thread(target=talk, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
    for client in clients:
        client.close()


def silence(client: socket.socket) -> None:
    """Say nothing."""


def talker(path: Path) -> Callable[[socket.socket], None]:
    """Send the MPEG-TS at `path` in `LIVE_S` seconds as an HTTP answer without an end, then nothing."""

    def talk(client: socket.socket) -> None:
        data = path.read_bytes()
        with contextlib.suppress(OSError):  # the client has left
            client.recv(4096)
            client.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
            for part in range(20):
                client.sendall(data[len(data) * part // 20 : len(data) * (part + 1) // 20])
                time.sleep(LIVE_S / 20)

    return talk


def watch_pyav(url: str, times: multiprocessing.Queue[float]) -> None:
    """Read until PyAV gives up; the time of each frame."""
    with contextlib.suppress(av.FFmpegError), av.open(url, timeout=(TIMEOUT_S, TIMEOUT_S)) as container:
        for _ in container.decode(video=0):
            times.put(time.monotonic())


def watch_opencv(url: str, times: multiprocessing.Queue[float]) -> None:
    """Read until OpenCV gives up, with its timeouts set."""
    timeout_ms = int(TIMEOUT_S * 1000)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)
    while capture.read()[0]:
        times.put(time.monotonic())


def watch_opencv_as_it_comes(url: str, times: multiprocessing.Queue[float]) -> None:
    """Read until OpenCV gives up, with its defaults."""
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG)
    while capture.read()[0]:
        times.put(time.monotonic())


def give_up(watch: Callable[..., None], url: str) -> str:
    """How long after the last sign of life `watch` returns, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    times = context.Queue()
    process = context.Process(target=watch, args=(url, times))
    process.start()
    process.join(0.0)
    started, frames = time.monotonic(), 0
    last = None
    while process.is_alive() and time.monotonic() - started < PATIENCE_S:
        while not times.empty():
            last, frames = times.get(), frames + 1
        time.sleep(0.05)
    ended = time.monotonic()
    if process.is_alive():
        process.kill()
        return f"hangs: killed after {PATIENCE_S:.0f} s, {frames} frames"
    while not times.empty():
        last, frames = times.get(), frames + 1
    since = "the last frame" if last else "its start (with imports)"
    return f"{ended - (last or started):.1f} s after {since}, {frames} frames"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    print(f"PyAV {av.__version__}, OpenCV {cv2.__version__}, {args.size} H.264, {args.seconds:g} s")
    ways = {"PyAV, timeout 3 s": watch_pyav, "OpenCV, timeout 3 s": watch_opencv, "OpenCV": watch_opencv_as_it_comes}
    with tempfile.TemporaryDirectory() as folder:
        clip, stream = Path(folder) / "clip.mp4", Path(folder) / "clip.ts"
        write_clip(clip, args.seconds, (width, height))
        throughput(str(clip), args.rounds)
        write_clip(stream, 4.0, (640, 360))
        cases = (("accepts, sends nothing", "rtsp", silence), ("dies in mid-stream", "http", talker(stream)))
        for label, scheme, talk in cases:
            for name, watch in ways.items():
                with server(talk) as port:
                    print(f"{label}: {name}: {give_up(watch, f'{scheme}://127.0.0.1:{port}/x.ts')}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
