"""300 damaged files through `dfd scan`: each gets its row, in time, and what was read in part is told so.

Decoders may crash outright on damaged input, so that the command runs as a process of its own: its rows come in order,
and the file whose row is missing is the one that brought it down.
"""

from __future__ import annotations

import io
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.pictures import portrait, write_film

COUNT = 300
LIMIT_S = 20.0  # a file, on a machine with a core for it
SIDE, FRAMES, FPS = 144, 48, 8  # a face of 58 px, 6 s
LOOKED_AT, SAMPLE_FPS = 12, 2
WHOLE = 0.9
FILMS = {
    "mp4": ("libx264", {"g": "4", "preset": "ultrafast", "threads": "1"}),
    "mkv": ("libx264", {"g": "6", "preset": "ultrafast", "threads": "1"}),
    "ts": ("mpeg2video", {"g": "4", "threads": "1"}),
    "avi": ("mpeg4", {"g": "4", "threads": "1"}),
    "webm": ("libvpx", {"deadline": "realtime", "cpu-used": "-8", "g": "4"}),
}
STILLS = {"jpg": "JPEG", "png": "PNG", "avif": "AVIF"}
FORMATS = (*FILMS, *STILLS)

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Row:
    """What the command said of one file; `report` is None where it fell or hung over it."""

    file: Path
    report: dict[str, Any] | None
    trouble: str = ""


def originals(folder: Path) -> dict[str, bytes]:
    """One small whole file of each format, by suffix."""
    face = portrait(SIDE)
    pictures = [np.roll(face, n % 3, axis=1) for n in range(FRAMES)]
    files = {}
    for suffix, (codec, options) in FILMS.items():
        files[suffix] = write_film(folder / f"whole.{suffix}", pictures, codec=codec, fps=FPS, options=options)
    for suffix, kind in STILLS.items():
        buffer = io.BytesIO()
        Image.fromarray(face).save(buffer, kind)
        files[suffix] = folder / f"whole.{suffix}"
        files[suffix].write_bytes(buffer.getvalue())
    return {suffix: path.read_bytes() for suffix, path in files.items()}


def flipped(data: bytes, rng: np.random.Generator, _: bytes) -> bytes:
    """Up to 40 bits are others, anywhere."""
    array = np.frombuffer(data, np.uint8).copy()
    places = rng.integers(0, len(array), rng.integers(1, 41))
    array[places] ^= (1 << rng.integers(0, 8, len(places))).astype(np.uint8)
    return array.tobytes()


def misled(data: bytes, rng: np.random.Generator, _: bytes) -> bytes:
    """Up to 8 bytes are others among the first or the last 600, where containers keep their tables."""
    array = np.frombuffer(data, np.uint8).copy()
    places = rng.integers(0, min(600, len(array)), rng.integers(1, 9))
    array[places if rng.random() < 0.5 else len(array) - 1 - places] = rng.integers(0, 256, len(places))
    return array.tobytes()


def cut(data: bytes, rng: np.random.Generator, _: bytes) -> bytes:
    """The end is missing, or zeros as of a download that did not finish."""
    kept = int(len(data) * rng.uniform(0.02, 0.97))
    return data[:kept] + (b"" if rng.random() < 0.7 else bytes(len(data) - kept))


def spliced(data: bytes, rng: np.random.Generator, other: bytes) -> bytes:
    """A piece is missing, there twice, or of another file."""
    start, end = sorted(int(p) for p in rng.integers(0, len(data), 2))
    middle = (b"", data[start:end] * 2, other[: end - start])[int(rng.integers(3))]
    return data[:start] + middle + data[end:]


MUTATIONS: tuple[Callable[[bytes, np.random.Generator, bytes], bytes], ...] = (flipped, cut, spliced, misled)


def damaged_files(folder: Path) -> list[Path]:
    """`COUNT` files, each format and mutation equally often, the same at each run."""
    whole, rng, files = originals(folder), np.random.default_rng(20), []
    for number in range(COUNT):
        suffix = FORMATS[number % len(FORMATS)]
        mutate = MUTATIONS[number // len(FORMATS) % len(MUTATIONS)]
        path = folder / f"{number:03d}-{mutate.__name__}.{suffix}"
        path.write_bytes(mutate(whole[suffix], rng, whole[str(rng.choice(FORMATS))]))
        files.append(path)
    return files


def scan(files: list[Path], model: Path, errors: Path) -> Iterator[Row]:
    """The rows of `dfd scan --json`; it is started again after the file over which it fell or hung."""
    while files:
        command = [sys.executable, "-m", "dfd_core.cli", "scan", "--json", "--set", f"model.path={model}"]
        command += ["--set", f"video.sample_fps={SAMPLE_FPS}"]
        with errors.open("ab") as said:
            process = subprocess.Popen(
                [*command, *map(str, files)], stdout=subprocess.PIPE, stderr=said, text=True, env=os.environ
            )
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        reader = threading.Thread(target=_read, args=(process, lines))
        reader.start()
        try:
            patience_s = LIMIT_S + 60  # to start
            while files:
                line = lines.get(timeout=patience_s * _waiting_for_a_core())
                patience_s = LIMIT_S
                if not line:
                    yield Row(files[0], None, f"ended with exit code {process.wait()}")
                    break
                yield Row(files[0], json.loads(line))
                files = files[1:]
        except queue.Empty:
            yield Row(files[0], None, f"took over {LIMIT_S:.0f} s")
        finally:
            process.kill() if files else process.wait(LIMIT_S)
            process.wait()
            reader.join()
            assert process.stdout is not None
            process.stdout.close()
        files = files[1:]


def _waiting_for_a_core() -> float:
    """How many processes share one, at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put("")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> list[Row]:
    folder = tmp_path_factory.mktemp("damaged")
    files = damaged_files(folder)
    rows = list(scan([*sorted(folder.glob("whole.*")), *files], tiny_model, folder / "errors.txt"))
    assert "Traceback" not in (folder / "errors.txt").read_text(errors="replace")
    return rows


def test_whole_files_are_scored_whole(rows: list[Row]) -> None:
    whole = [row for row in rows if row.file.stem == "whole"]
    assert len(whole) == len(FORMATS)
    for row in whole:
        assert row.report is not None
        frames = LOOKED_AT if row.file.suffix[1:] in FILMS else 1
        assert (row.report["reason"], row.report["partial"], row.report["frames"]) == (None, False, frames), row.file
        assert row.report["fake_probability"] is not None


def test_every_damaged_file_gets_its_row_in_time(rows: list[Row]) -> None:
    assert len(rows) == COUNT + len(FORMATS)
    assert [(row.file.name, row.trouble) for row in rows if row.report is None] == []
    for row in rows:
        assert row.report is not None
        assert row.report["file"] == str(row.file)
        assert row.report["fake_probability"] is not None or row.report["reason"], row.file


def test_what_was_read_in_part_is_never_told_as_the_whole(rows: list[Row]) -> None:
    """Of films by the frames that were looked at, of all files by what the report itself says was read."""
    told_as_whole = []
    for row in rows:
        report = row.report
        if report is None or report["fake_probability"] is None or report["reason"]:
            continue
        shares = [report["read_s"] / report["of_s"]] if report["read_s"] is not None and report["of_s"] else []
        if row.file.suffix[1:] in FILMS:
            shares.append(report["frames"] / LOOKED_AT)
        if report["partial"] or any(share < WHOLE for share in shares):
            told_as_whole.append((row.file.name, shares))
    assert told_as_whole == []
