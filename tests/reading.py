"""Frames of a file or a URL, read with patience or in haste."""

from dataclasses import replace
from pathlib import Path

from dfd_core.media import read_frames
from dfd_core.settings import VideoSettings
from dfd_core.types import Frame

SETTINGS = VideoSettings()


HASTY = replace(SETTINGS, open_timeout_s=2.0, read_timeout_s=2.0)


SLACK_S = 20.0  # a busy machine may take so much longer than a timeout says


def read(path: Path | str, settings: VideoSettings = SETTINGS) -> list[Frame]:
    return list(read_frames(str(path), "s", settings))
