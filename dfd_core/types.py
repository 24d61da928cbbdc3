"""The records that travel between the parts. Times: media time in seconds from PTS, `_at_s` in Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from dfd_core.conditions import Condition

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]


def _check(array: npt.NDArray[np.generic], dtype: type, shape: tuple[int | None, ...], name: str) -> None:
    same = [want is None or got == want for got, want in zip(array.shape, shape, strict=False)]
    if array.dtype != dtype or array.ndim != len(shape) or not all(same):
        raise ValueError(f"{name} must be {dtype.__name__} {shape}, got {array.dtype} {array.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture. `image` uint8 (H, W, 3) RGB; `time_s` media seconds; `index` counts decoded frames.

    `quantisers` float32 (h, w): the codec's quantiser on H.264's scale (0 to 51, 6 more double the step) in each of
    h x w blocks that cover the picture evenly; None where the codec does not say.
    """

    stream: str
    index: int
    time_s: float
    captured_at_s: float
    image: UInt8Array
    quantisers: Float32Array | None = None

    def __post_init__(self) -> None:
        _check(self.image, np.uint8, (None, None, 3), "Frame.image")
        if self.quantisers is not None:
            _check(self.quantisers, np.float32, (None, None), "Frame.quantisers")


@dataclass(frozen=True, slots=True, eq=False)
class FaceTrack:
    """One face over the N sampled frames of a segment.

    `boxes` float32 (N, 4) xyxy px of the frame, NaN rows where the face is absent; `landmarks` float32 (N, 6, 2) px of
    the frame (eyes, nose, mouth, ears), NaN likewise; `crops` uint8 (N, S, S, 3) RGB, zeros where absent; `side` is
    the length in frame px of the square that each crop shows, centred on its box: a crop is at native resolution when
    `side == S`. `quantisers` float32 (N,): the codec's, mean over the box, NaN where unknown (see `Frame`).
    `upright`: whether the face stands upright in the crops; it is not scored where it does not.
    """

    id: int
    boxes: Float32Array
    landmarks: Float32Array
    crops: UInt8Array
    side: int
    quantisers: Float32Array | None = None  # None: all unknown
    upright: bool = True

    def __post_init__(self) -> None:
        n = len(self.boxes)
        if self.quantisers is not None:
            _check(self.quantisers, np.float32, (n,), "FaceTrack.quantisers")
        _check(self.boxes, np.float32, (n, 4), "FaceTrack.boxes")
        _check(self.landmarks, np.float32, (n, 6, 2), "FaceTrack.landmarks")
        _check(self.crops, np.uint8, (n, self.crops.shape[1], self.crops.shape[1], 3), "FaceTrack.crops")

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Bool (N,): in which frames the face was seen."""
        return ~np.isnan(self.boxes[:, 0])


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """The faces of `stride` sampled frames: what is stored and scored once, and shared by overlapping windows.

    `times_s` float64 (N,) media seconds; `captured_at_s` Unix seconds of the last frame; `seq` counts from 0 in its
    stream, dropped ones too; `follows` is false after a gap or a cut: windows do not reach back across it.
    """

    stream: str
    seq: int
    times_s: Float64Array
    captured_at_s: float
    tracks: tuple[FaceTrack, ...]
    follows: bool

    def __post_init__(self) -> None:
        _check(self.times_s, np.float64, (len(self.times_s),), "Segment.times_s")
        if any(len(track.boxes) != len(self.times_s) for track in self.tracks):
            raise ValueError("Segment.tracks must have one row per entry of times_s")


@dataclass(frozen=True, slots=True, eq=False)
class SegmentFeatures:
    """What the checks measured in one segment, once: `tracks` maps a track's id to float32 (N, F), NaN rows = absent.

    The other fields are those of the Segment; the columns are named by `dfd_core.judging.scoring`.
    """

    stream: str
    seq: int
    times_s: Float64Array
    tracks: dict[int, Float32Array]
    follows: bool
    captured_at_s: float

    def __post_init__(self) -> None:
        _check(self.times_s, np.float64, (None,), "SegmentFeatures.times_s")
        for values in self.tracks.values():
            _check(values, np.float32, (len(self.times_s), None), "SegmentFeatures.tracks")


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The newest segment and those before it that it may look back on, oldest first; its `seq` is the newest's."""

    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        if not self.segments:
            raise ValueError("Window.segments must not be empty")

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.segments[-1].stream

    @property
    def seq(self) -> int:
        """The newest segment's sequence number."""
        return self.segments[-1].seq

    @property
    def start_s(self) -> float:
        """Media time of the first frame, seconds."""
        return float(self.segments[0].times_s[0])

    @property
    def end_s(self) -> float:
        """Media time of the last frame, seconds."""
        return float(self.segments[-1].times_s[-1])

    @property
    def captured_at_s(self) -> float:
        """Unix time of the last frame, seconds."""
        return self.segments[-1].captured_at_s


@dataclass(frozen=True, slots=True)
class WindowScore:
    """What one window says of one face; `fake_probability` in [0, 1], or None with the `reason` why not scorable."""

    stream: str
    seq: int
    track: int
    start_s: float
    end_s: float
    fake_probability: float | None
    checks: dict[str, float | None]
    reason: str | None
    model: str
    captured_at_s: float
    scored_at_s: float


class Outcome(StrEnum):
    """What became of a window."""

    SCORED = "scored"  # at least one face has a probability
    NOT_SCORABLE = "not_scorable"  # no face, or none good enough: see the reasons
    DROPPED = "dropped"  # the live queue was full, and newer windows mattered more
    EXPIRED = "expired"  # its pixels outlived their TTL before a worker came
    FAILED = "failed"  # scoring raised; the reason says what
    CALM = "calm"  # left out on purpose: all its live stream's faces have been far below the threshold for long


@dataclass(frozen=True, slots=True)
class WindowResult:
    """The outcome of one window with one score a face; `reason` speaks for windows that have no scores."""

    stream: str
    seq: int
    outcome: Outcome
    start_s: float
    end_s: float
    captured_at_s: float
    scores: tuple[WindowScore, ...] = ()
    reason: str | None = None


class State(StrEnum):
    """What is thought of a face or a stream, in rising order of concern."""

    UNKNOWN = "unknown"
    AUTHENTIC = "authentic"
    SUSPECT = "suspect"
    FAKE = "fake"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The probabilities from which a face counts as fake, and below which it counts as authentic again."""

    enter: float
    exit: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of one face track from `since_s` on, as known at `time_s` (media seconds)."""

    stream: str
    track: int
    state: State
    since_s: float
    time_s: float
    fake_probability: float | None
    checks: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WindowEvent:
    """One window's outcome on its way to the monitor; each window has exactly one. `run`: see StreamStatus."""

    run: str
    result: WindowResult

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.result.stream


@dataclass(frozen=True, slots=True)
class EndEvent:
    """A source ended: no seq above `last_seq` follows in this run (-1: there was none); `reason` None: as it should."""

    stream: str
    run: str
    last_seq: int
    reason: str | None


class StreamState(StrEnum):
    """What a source is doing."""

    CONNECTING = "connecting"
    LIVE = "live"  # frames come; of files too
    LOST = "lost"  # frames stopped, and the source tries again
    ENDED = "ended"


STOPPED = "stopped"  # the `error` of a source that ended because its operator wished so


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One source as its ingest process sees it, renewed each second; counts since the start of this `run`.

    `run` is a random id of one start of one source; `live` tells a camera from a file; `error` holds no credentials.
    """

    stream: str
    run: str
    state: StreamState
    live: bool
    source: str  # redacted
    heartbeat_at_s: float
    last_frame_at_s: float | None = None
    fps: float = 0.0  # sampled frames, over the last seconds
    frames: int = 0
    last_seq: int = -1
    dropped: dict[str, int] = field(default_factory=dict)  # by reason
    reconnects: int = 0
    error: str | None = None
    clock_drift_s: float = 0.0  # how far its own stamps have gone ahead of our clock
    condition: Condition = Condition.CONNECTING
    since_at_s: float = 0.0  # of that
    calm: bool = False  # not all of its windows are scored

    @property
    def over(self) -> bool:
        """Ended as it should: a file that was read or cannot be, a camera that was stopped; not one that failed."""
        return self.state is StreamState.ENDED and (not self.live or self.error in (None, STOPPED))


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the workers score with, and the thresholds that its card recommends."""

    name: str
    runtime: str
    enter: float
    exit: float
