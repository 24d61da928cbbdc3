"""All that can be set: frozen records by section, each value of one type and in its range.

An unknown section or key is an error that names the nearest known one, so that a typing error never silently leaves a
default in force.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from dfd_core.errors import SettingsError
from dfd_core.names import brief, without_secrets
from dfd_core.sections import (
    AdaptiveSettings,
    BulkSettings,
    ConsoleSettings,
    EvidenceSettings,
    LogSettings,
    MetricsSettings,
    MqttSettings,
    RedisSettings,
    ServeSettings,
    WebhookSettings,
)
from dfd_core.sections import Section as _Section
from dfd_core.sections import require as _require

_MOST_PROCESSES = 1024  # of a kind, and threads of one; more than any machine has cores


@dataclass(frozen=True, slots=True)
class VideoSettings(_Section):
    """How sources are opened and sampled."""

    sample_fps: float = 8.0  # frames a second that are looked at
    open_timeout_s: float = 10.0  # to connect and find a picture
    read_timeout_s: float = 10.0  # without a frame, a live source counts as lost
    reconnect_max_s: float = 5.0  # longest pause between two attempts to reconnect
    rtsp_transport: str = "tcp"  # tcp or udp
    max_pixels: int = 3840 * 2160  # larger pictures are scaled down to this before anything looks at them
    max_width: int = 16_384  # px; a source with wider pictures is refused
    max_height: int = 16_384  # px
    max_bytes: int = 200_000_000_000  # a larger file is refused
    max_frames: int = 20_000_000  # of a file; it is given up there, as at the next two
    max_seconds: float = 172_800.0  # of a file's media time
    max_decode_s: float = 86_400.0  # that a file may take to decode, whatever else is done meanwhile
    max_memory_bytes: int = 8_000_000_000  # of a process of ingest, scan, bulk or /v1/score; 0: any
    max_cpu_s: float = 500_000.0  # of CPU that one of the first three may take for a file; it ends there; 0: any

    def _judge(self) -> None:
        _require(
            (self.sample_fps > 0, "video.sample_fps must be above 0"),
            (self.sample_fps > 1e-6, "video.sample_fps must be more than a millionth"),
            (
                min(self.open_timeout_s, self.read_timeout_s, self.reconnect_max_s) > 0,
                "video timeouts and reconnect_max_s must be above 0",
            ),
            (self.rtsp_transport in ("tcp", "udp"), "video.rtsp_transport must be tcp or udp"),
            (
                min(self.max_width, self.max_height, self.max_bytes, self.max_frames) > 0
                and min(self.max_seconds, self.max_decode_s) > 0,
                "video.max_width, max_height, max_bytes, max_frames, max_seconds and max_decode_s must be above 0",
            ),
            (self.max_memory_bytes >= 0, "video.max_memory_bytes must not be below 0"),
            (self.max_cpu_s == 0 or self.max_cpu_s >= 1, "video.max_cpu_s must be at least 1, or 0: any"),
            (self.max_pixels >= 65536, "video.max_pixels must be at least 65536"),
        )


@dataclass(frozen=True, slots=True)
class FaceSettings(_Section):
    """Which faces count and how they are cut out."""

    min_width_px: int = 48  # narrower faces are ignored
    min_confidence: float = 0.6  # of the detector, 0 to 1
    max_faces: int = 8  # the widest ones of a frame
    every: int = 1  # at 2, faces are looked for in every second frame only, and placed between them
    crop_scale: float = 1.6  # side of the crop over the longer side of the face box
    crop_cap_px: int = 256  # crops are stored at native resolution up to this side

    def _judge(self) -> None:
        _require(
            (0 < self.min_confidence < 1, "faces.min_confidence must be between 0 and 1"),
            (self.min_width_px >= 16, "faces.min_width_px must be at least 16"),
            (self.max_faces >= 1, "faces.max_faces must be at least 1"),
            (self.every in {1, 2}, "faces.every must be 1 or 2"),
            (1 <= self.crop_scale <= 3, "faces.crop_scale must be between 1 and 3"),
            (64 <= self.crop_cap_px <= 1024, "faces.crop_cap_px must be between 64 and 1024"),
        )


@dataclass(frozen=True, slots=True)
class WindowSettings(_Section):
    """Sliding windows over sampled frames; `frames` is a multiple of `stride`."""

    frames: int = 16
    stride: int = 8
    max_gap_s: float = 1.0  # a longer pause between frames starts anew
    cut_threshold: float = 0.35  # change of the colour histogram, 0 to 1, that counts as a cut

    def _judge(self) -> None:
        _require(
            (self.stride >= 2, "windows.stride must be at least 2"),
            (
                self.frames > 0 and self.frames % max(1, self.stride) == 0,
                "windows.frames must be a multiple of windows.stride",
            ),
            (min(self.max_gap_s, self.cut_threshold) > 0, "windows.max_gap_s and cut_threshold must be above 0"),
        )


@dataclass(frozen=True, slots=True)
class QueueSettings(_Section):
    """Bounds of what waits in Redis, for each stream."""

    live_bytes: int = 16_000_000  # above this the oldest live windows are dropped, and counted
    file_bytes: int = 64_000_000  # above this a file source waits
    stale_s: float = 15.0  # a live window that is older than this when its turn comes is not scored
    late_s: float = 3.0  # the same, once more has come than could be scored for ten seconds
    payload_ttl_s: float = 60.0  # pixels of live streams are gone after this
    file_ttl_s: float = 3600.0  # pixels of files
    full_timeout_s: float = 600.0  # a file source that waits longer than this gives up with an error

    def _judge(self) -> None:
        sizes = self.live_bytes, self.file_bytes, self.stale_s, self.late_s, self.payload_ttl_s, self.file_ttl_s
        _require(
            (min(sizes) > 0, "queue bounds and TTLs must be above 0"),
            (
                min(self.payload_ttl_s, self.file_ttl_s) >= 1e-3,
                "queue.payload_ttl_s and file_ttl_s: a millisecond at least",
            ),
            (self.full_timeout_s >= 0, "queue.full_timeout_s must not be below 0"),
        )


@dataclass(frozen=True, slots=True)
class WorkerSettings(_Section):
    """How windows are scored."""

    processes: int = 1
    bulk_processes: int = 1  # of the bulk queue; they yield to live windows, and to everything else on the machine
    batch_windows: int = 8  # most windows in one batch
    batch_wait_s: float = 0.05  # longest wait for a fuller batch, at most 0.1
    start_timeout_s: float = 300.0  # a process that has not loaded its model by then is killed and replaced
    hang_timeout_s: float = 30.0  # a batch that takes longer is killed and given to another worker
    threads: int = 0  # of the CPU runtime; 0: one a core

    def _judge(self) -> None:
        processes = self.processes, self.bulk_processes
        _require(
            (self.batch_windows >= 1, "worker.batch_windows must be at least 1"),
            (
                min(processes) >= 0 and max(processes) > 0,
                "worker.processes and worker.bulk_processes must not be below 0, nor both 0",
            ),
            (max(processes) <= _MOST_PROCESSES, "worker.processes and bulk_processes must be 1024 at most"),
            (0 <= self.threads <= _MOST_PROCESSES, "worker.threads must be from 0 to 1024"),
            (0 <= self.batch_wait_s <= 0.1, "worker.batch_wait_s must be between 0 and 0.1"),
            (self.start_timeout_s > 0, "worker.start_timeout_s must be above 0"),
            (self.hang_timeout_s > 0, "worker.hang_timeout_s must be above 0"),
        )


@dataclass(frozen=True, slots=True)
class ModelSettings(_Section):
    """What scores the faces."""

    path: str = ""  # folder of an exported model; empty: the one that ships with dfd
    runtime: str = (
        "auto"  # litert or openvino (CPU), onnx or keras (GPU or CPU), or auto: keras where a GPU is found, else litert
    )

    def _judge(self) -> None:
        _require(
            (
                self.runtime in ("auto", "litert", "openvino", "onnx", "keras"),
                "model.runtime must be auto, litert, openvino, onnx or keras",
            )
        )


@dataclass(frozen=True, slots=True)
class VerdictSettings(_Section):
    """From probabilities to states. Zero means: the threshold that the model card recommends."""

    enter: float = 0.0  # probability from which a face counts as fake
    exit: float = 0.0  # probability below which it is authentic again
    min_duration_s: float = 1.0  # for so long it must stay above `enter` before the alarm
    cooldown_s: float = 5.0  # for so long it must stay below `exit` before the alarm ends
    jump: float = 0.85  # one that rises to above `enter` by so much, from one window to the next, is an alarm at once
    reorder_timeout_s: float = 5.0  # a live window that is missing for longer is given up
    thresholds: str = ""  # file of single streams' own `enter` and `exit`, written by dfd calibrate

    def _judge(self) -> None:
        durations = self.min_duration_s, self.cooldown_s, self.reorder_timeout_s
        _require(
            (0 <= self.enter <= 1 and 0 <= self.exit <= 1, "verdict.enter and verdict.exit must be between 0 and 1"),
            (min(durations) >= 0, "verdict durations must not be below 0"),
            (self.jump > 0, "verdict.jump must be above 0; above 1, nothing is"),
            (self.enter == 0 or self.exit <= self.enter, "verdict.exit must not be above verdict.enter"),
        )


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
    adaptive: AdaptiveSettings = field(default_factory=AdaptiveSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    log: LogSettings = field(default_factory=LogSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    mqtt: MqttSettings = field(default_factory=MqttSettings)

    def __post_init__(self) -> None:
        for section in fields(self):
            getattr(self, section.name)._judge()

    def with_values(self, values: Mapping[str, object], origin: str = "flags") -> Settings:
        """These settings with `{"section.key": value}` replaced; text is converted to the key's type."""
        changed: dict[str, dict[str, object]] = {}
        for dotted, value in checked(values, origin).items():
            section, key = dotted.split(".")
            changed.setdefault(section, {})[key] = value
        return replace(self, **{name: replace(getattr(self, name), **new) for name, new in changed.items()})


def known_keys() -> list[str]:
    """Every `section.key`, in order."""
    return [f"{s.name}.{k.name}" for s in fields(Settings) for k in fields(s.default_factory)]  # type: ignore[arg-type]


def nearest_key(dotted: str) -> str:
    """A question that names the known key which is most like `dotted`."""
    return f"Did you mean '{difflib.get_close_matches(dotted, known_keys(), n=1, cutoff=0.0)[0]}'?"


def checked(values: Mapping[str, object], origin: str) -> dict[str, object]:
    """`values` with each of its key's type; SettingsError for an unknown key or a value of another type."""
    defaults = {f"{s.name}.{k.name}": k.default for s in fields(Settings) for k in fields(s.default_factory)}  # type: ignore[arg-type]
    for dotted in map(str, values):
        if dotted not in defaults:
            said = f"Unknown setting '{dotted}' in {origin}. {nearest_key(dotted)}"
            raise SettingsError(without_secrets(said, [dotted]))
    return {dotted: convert(value, type(defaults[dotted]), dotted, origin) for dotted, value in values.items()}


def kind_of(dotted: str) -> type:
    """The type of the setting `section.key`."""
    section, key = dotted.split(".")
    return type(getattr(getattr(Settings(), section), key))


def convert(value: object, kind: type, dotted: str, origin: str) -> Any:
    """`value` as an int, float or str; SettingsError where it is none, or a number that nothing can count or wait."""
    wrong = SettingsError(f"{dotted} in {origin} must be a {_NAMES[kind]}, not {brief(value)}.")
    if isinstance(value, bool) or (kind is str and not isinstance(value, str)):
        raise wrong
    if kind is int and isinstance(value, float):
        raise wrong
    try:
        converted = kind(value)
    except (TypeError, ValueError, OverflowError):
        raise wrong from None
    if kind is str:
        if "\0" in converted:
            raise SettingsError(f"{dotted} in {origin} holds NUL, which no name, address or variable can.")
        return converted
    if not math.isfinite(converted):
        raise wrong
    most = _MOST_S if dotted.endswith("_s") else _MOST
    if abs(converted) > most:
        raise SettingsError(f"{dotted} in {origin} must not be beyond {most:,}, as {brief(value)} is.")
    return converted


_MOST_S, _MOST = 2_000_000, 10**15  # of seconds, which is what a system call waits at most, some 23 days; of anything
_NAMES: dict[type, str] = {int: "whole number", float: "number", str: "text"}
