"""Deepfake detection for Python programs: `Detector`, what it gives back, and the errors it raises.

    from dfd_core import Detector

    with Detector() as detector:
        print(detector.score("clip.mp4").verdict)

What is not named here is internal, and may change with any version. Names are loaded when they are first asked for, so
that the import itself costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfd_core.detector import Detector, Observation
    from dfd_core.errors import (
        DataError,
        DfdError,
        ModelError,
        PartialError,
        RefusedError,
        SettingsError,
        StreamLostError,
        VideoError,
        WireError,
    )
    from dfd_core.judging.report import Report
    from dfd_core.settings import Settings
    from dfd_core.types import Outcome, State, Verdict, WindowResult, WindowScore

__version__ = "0.1.0"

__all__ = [
    "DataError",
    "Detector",
    "DfdError",
    "ModelError",
    "Observation",
    "Outcome",
    "PartialError",
    "RefusedError",
    "Report",
    "Settings",
    "SettingsError",
    "State",
    "StreamLostError",
    "Verdict",
    "VideoError",
    "WindowResult",
    "WindowScore",
    "WireError",
    "__version__",
]

_HOMES = {"Detector": "detector", "Observation": "detector", "Report": "judging.report", "Settings": "settings"}
_HOMES |= dict.fromkeys(("Outcome", "State", "Verdict", "WindowResult", "WindowScore"), "types")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
