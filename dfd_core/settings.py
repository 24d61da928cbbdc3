"""One TOML file, then the environment (`DFD_SECTION_KEY`), then flags, in rising precedence, into frozen settings.

This is the only module that reads the environment. An unknown section, key or variable is an error that names the
nearest known one, so that a typing error never silently leaves a default in force.
"""

from __future__ import annotations

import difflib
import math
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from dfd_core.errors import SettingsError

ENV_PREFIX = "DFD_"
CONFIG_VARIABLE = "DFD_CONFIG"  # path of the TOML file, when no --config is given


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """How sources are opened and sampled."""

    sample_fps: float = 8.0  # frames a second that are looked at
    open_timeout_s: float = 10.0  # to connect and find a picture
    read_timeout_s: float = 10.0  # without a frame, a live source counts as lost
    reconnect_max_s: float = 30.0  # longest pause between two attempts to reconnect
    rtsp_transport: str = "tcp"  # tcp or udp
    max_pixels: int = 3840 * 2160  # larger pictures are scaled down to this before anything looks at them


@dataclass(frozen=True, slots=True)
class FaceSettings:
    """Which faces count and how they are cut out."""

    min_width_px: int = 48  # narrower faces are ignored
    min_confidence: float = 0.6  # of the detector, 0 to 1
    max_faces: int = 8  # the widest ones of a frame
    crop_scale: float = 1.6  # side of the crop over the longer side of the face box
    crop_cap_px: int = 256  # crops are stored at native resolution up to this side


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """Sliding windows over sampled frames; `frames` is a multiple of `stride`."""

    frames: int = 16
    stride: int = 8
    max_gap_s: float = 1.0  # a longer pause between frames starts anew
    cut_threshold: float = 0.35  # change of the colour histogram, 0 to 1, that counts as a cut


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Where the queue lives."""

    url: str = ""  # redis://[user:password@]host:port/db; empty: watch starts an embedded server
    connect_timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """Bounds of what waits in Redis, for each stream."""

    live_bytes: int = 16_000_000  # above this the oldest live windows are dropped, and counted
    file_bytes: int = 64_000_000  # above this a file source waits
    stale_s: float = 15.0  # a live window that is older than this when its turn comes is not scored
    payload_ttl_s: float = 60.0  # pixels of live streams are gone after this
    file_ttl_s: float = 3600.0  # pixels of files
    full_timeout_s: float = 600.0  # a file source that waits longer than this gives up with an error


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How windows are scored."""

    processes: int = 1
    bulk_processes: int = 1  # of the bulk queue; they yield to live windows, and to everything else on the machine
    batch_windows: int = 8  # most windows in one batch
    batch_wait_s: float = 0.05  # longest wait for a fuller batch, at most 0.1
    start_timeout_s: float = 300.0  # a process that has not loaded its model by then is killed and replaced
    hang_timeout_s: float = 30.0  # a batch that takes longer is killed and given to another worker
    threads: int = 0  # of the CPU runtime; 0: one a core


@dataclass(frozen=True, slots=True)
class BulkSettings:
    """Which files the bulk queue takes."""

    roots: str = ""  # folders that submitters and workers share, separated by ':'; empty: any path
    upload_bytes: int = 64_000_000  # largest file that goes through Redis
    upload_ttl_s: float = 86400.0  # its content is gone after this


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What scores the faces."""

    path: str = ""  # folder of an exported model; empty: the one that ships with dfd
    runtime: str = "auto"  # litert (CPU), keras (GPU or CPU) or auto: keras where a GPU is found


@dataclass(frozen=True, slots=True)
class VerdictSettings:
    """From probabilities to states. Zero means: the threshold that the model card recommends."""

    enter: float = 0.0  # probability from which a face counts as fake
    exit: float = 0.0  # probability below which it is authentic again
    min_duration_s: float = 1.0  # for so long it must stay above `enter` before the alarm
    cooldown_s: float = 5.0  # for so long it must stay below `exit` before the alarm ends
    reorder_timeout_s: float = 5.0  # a live window that is missing for longer is given up
    thresholds: str = ""  # file of single streams' own `enter` and `exit`, written by dfd calibrate


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Where /metrics is served; port 0 takes a free one, -1 serves none."""

    host: str = "127.0.0.1"
    ingest_port: int = 9461
    worker_port: int = 9462
    monitor_port: int = 9460


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How processes tell what happens."""

    format: str = "auto"  # human, json or auto: human on a terminal, else JSON
    traces: str = ""  # URL of an OTLP/HTTP collector, as http://collector:4318/v1/traces; empty: no traces


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, by section."""

    video: VideoSettings = field(default_factory=VideoSettings)
    faces: FaceSettings = field(default_factory=FaceSettings)
    windows: WindowSettings = field(default_factory=WindowSettings)
    redis: RedisSettings = field(default_factory=RedisSettings)
    queue: QueueSettings = field(default_factory=QueueSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    bulk: BulkSettings = field(default_factory=BulkSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    verdict: VerdictSettings = field(default_factory=VerdictSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    log: LogSettings = field(default_factory=LogSettings)

    def __post_init__(self) -> None:
        _validate(self)

    def with_values(self, values: Mapping[str, object], origin: str = "flags") -> Settings:
        """These settings with `{"section.key": value}` replaced; text is converted to the key's type."""
        changed: dict[str, dict[str, object]] = {}
        for dotted, value in _checked(values, origin).items():
            section, key = dotted.split(".")
            changed.setdefault(section, {})[key] = value
        return replace(self, **{name: replace(getattr(self, name), **new) for name, new in changed.items()})


def load_settings(
    config: Path | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from the TOML file, the environment and `flags` (`{"section.key": value}`), in rising precedence.

    Raises SettingsError for a file that cannot be read, an unknown key and a value of the wrong type or range.
    """
    environ = os.environ if environ is None else environ
    if config is None and environ.get(CONFIG_VARIABLE):
        config = Path(environ[CONFIG_VARIABLE])
    values = {} if config is None else _checked(_read_toml(config), str(config))
    values |= _checked(_read_environment(environ), "the environment")
    values |= _checked(flags or {}, "the command line")
    return Settings().with_values(values)  # ranges are judged once all is known: one layer may need another


def known_keys() -> list[str]:
    """Every `section.key`, in order."""
    return [f"{s.name}.{k.name}" for s in fields(Settings) for k in fields(s.default_factory)]  # type: ignore[arg-type]


def parse_assignments(assignments: Iterable[str]) -> dict[str, object]:
    """`["section.key=value", ...]` as given with --set, as a mapping."""
    pairs: dict[str, object] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise SettingsError(f"--set takes section.key=value, not '{assignment}'.")
        pairs[key.strip()] = value.strip()
    return pairs


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables that make `load_settings` in a child process return equal settings."""
    return {
        ENV_PREFIX + dotted.replace(".", "_").upper(): str(getattr(getattr(settings, section), key))
        for dotted in known_keys()
        for section, key in [dotted.split(".")]
    }


def child_environment(settings: Settings) -> dict[str, str]:
    """This process's environment for a child process that must have these settings, whatever our own variables say."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    return own | environment_of(settings)


def _read_toml(path: Path) -> dict[str, object]:
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"Cannot read the settings file {path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {path} is not valid TOML: {error}.") from None
    values: dict[str, object] = {}
    for section, table in tables.items():
        if not isinstance(table, dict):
            raise SettingsError(f"In {path}, '{section}' stands outside a [section]. {_nearest(section)}")
        values.update({f"{section}.{key}": value for key, value in table.items()})
    return values


def _read_environment(environ: Mapping[str, str]) -> dict[str, object]:
    variables = {ENV_PREFIX + dotted.replace(".", "_").upper(): dotted for dotted in known_keys()}
    values: dict[str, object] = {}
    for name, value in environ.items():
        if not name.startswith(ENV_PREFIX) or name == CONFIG_VARIABLE:
            continue
        if name not in variables:
            near = difflib.get_close_matches(name, variables, n=1, cutoff=0.0)
            raise SettingsError(f"Unknown environment variable {name}; did you mean {near[0]}?")
        values[variables[name]] = value
    return values


def _nearest(dotted: str) -> str:
    return f"Did you mean '{difflib.get_close_matches(dotted, known_keys(), n=1, cutoff=0.0)[0]}'?"


def _checked(values: Mapping[str, object], origin: str) -> dict[str, object]:
    """`values` with known keys only, each of its key's type."""
    defaults = {f"{s.name}.{k.name}": k.default for s in fields(Settings) for k in fields(s.default_factory)}  # type: ignore[arg-type]
    for dotted in values:
        if dotted not in defaults:
            raise SettingsError(f"Unknown setting '{dotted}' in {origin}. {_nearest(dotted)}")
    return {dotted: _convert(value, type(defaults[dotted]), dotted, origin) for dotted, value in values.items()}


def _convert(value: object, kind: type, dotted: str, origin: str) -> Any:
    wrong = SettingsError(f"{dotted} in {origin} must be a {_NAMES[kind]}, not {value!r}.")
    if isinstance(value, bool) or (kind is str and not isinstance(value, str)):
        raise wrong
    if kind is int and isinstance(value, float):
        raise wrong
    try:
        converted = kind(value)
    except (TypeError, ValueError):
        raise wrong from None
    if kind is float and not math.isfinite(converted):
        raise wrong
    return converted


_NAMES: dict[type, str] = {int: "whole number", float: "number", str: "text"}


def _validate(settings: Settings) -> None:
    windows, verdict, worker, bulk = settings.windows, settings.verdict, settings.worker, settings.bulk
    metrics = settings.metrics
    ports = (metrics.ingest_port, metrics.worker_port, metrics.monitor_port)
    rules = {
        "video.sample_fps must be above 0": settings.video.sample_fps > 0,
        "video timeouts must be above 0": min(settings.video.open_timeout_s, settings.video.read_timeout_s) > 0,
        "video.rtsp_transport must be tcp or udp": settings.video.rtsp_transport in ("tcp", "udp"),
        "video.max_pixels must be at least 65536": settings.video.max_pixels >= 65536,
        "faces.min_confidence must be between 0 and 1": 0 < settings.faces.min_confidence < 1,
        "faces.min_width_px must be at least 16": settings.faces.min_width_px >= 16,
        "faces.max_faces must be at least 1": settings.faces.max_faces >= 1,
        "faces.crop_scale must be between 1 and 3": 1 <= settings.faces.crop_scale <= 3,
        "faces.crop_cap_px must be between 64 and 1024": 64 <= settings.faces.crop_cap_px <= 1024,
        "windows.stride must be at least 2": windows.stride >= 2,
        "windows.frames must be a multiple of windows.stride": windows.frames > 0
        and windows.frames % max(1, windows.stride) == 0,
        "queue bounds and TTLs must be above 0": min(
            settings.queue.live_bytes,
            settings.queue.file_bytes,
            settings.queue.stale_s,
            settings.queue.payload_ttl_s,
            settings.queue.file_ttl_s,
        )
        > 0,
        "worker.batch_windows must be at least 1": worker.batch_windows >= 1,
        "worker.processes and worker.bulk_processes must not be below 0, nor both 0": min(
            worker.processes, worker.bulk_processes
        )
        >= 0
        and max(worker.processes, worker.bulk_processes) > 0,
        "bulk.upload_bytes and bulk.upload_ttl_s must be above 0": min(bulk.upload_bytes, bulk.upload_ttl_s) > 0,
        "worker.batch_wait_s must be between 0 and 0.1": 0 <= worker.batch_wait_s <= 0.1,
        "worker.start_timeout_s must be above 0": worker.start_timeout_s > 0,
        "worker.hang_timeout_s must be above 0": worker.hang_timeout_s > 0,
        "model.runtime must be auto, litert or keras": settings.model.runtime in ("auto", "litert", "keras"),
        "log.format must be human, json or auto": settings.log.format in ("human", "json", "auto"),
        "verdict.enter and verdict.exit must be between 0 and 1": 0 <= verdict.enter <= 1 and 0 <= verdict.exit <= 1,
        "verdict durations must not be below 0": min(
            verdict.min_duration_s, verdict.cooldown_s, verdict.reorder_timeout_s
        )
        >= 0,
        "metrics ports must be between -1 and 65535": all(-1 <= port <= 65535 for port in ports),
        "verdict.exit must not be above verdict.enter": verdict.enter == 0 or verdict.exit <= verdict.enter,
    }
    for rule, holds in rules.items():
        if not holds:
            raise SettingsError(f"{rule}.")
