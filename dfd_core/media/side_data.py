"""What FFmpeg tells beside a picture: how it is to be turned, how it was rounded."""

from __future__ import annotations

from typing import Any, cast

from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame


def _unnamed(cls: type[Type], value: int) -> Type:
    """A kind of which FFmpeg tells and PyAV has no name for, as EXIF: else one such hides all others."""
    kind: Any = object.__new__(cls)
    kind._name_, kind._value_ = f"UNNAMED_{value}", value
    return cast(Type, kind)


Type._missing_ = classmethod(_unnamed)  # type: ignore[assignment]


def side_data_of(picture: VideoFrame, name: str) -> Any:
    """What is told under FFmpeg's `name` (DISPLAYMATRIX, VIDEO_ENC_PARAMS); None where nothing is.

    `picture.side_data` would close a circle, and keep the picture until Python looks for such, which may be minutes.
    """
    return SideDataContainer(picture).get(name)  # type: ignore[call-arg]
