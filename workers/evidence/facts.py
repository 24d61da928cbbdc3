"""What stands beside an alarm in its bundle: where it came from, with what it was judged, by which versions."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from redis import Redis

from dfd_core import __version__
from dfd_core.errors import WireError
from dfd_core.models.store import model_folder, model_name, read_card
from dfd_core.queue import keys, records
from dfd_core.queue.boards import read_statuses
from dfd_core.settings import Settings
from dfd_core.types import Thresholds

_SECTIONS = ("video", "faces", "windows", "verdict")  # none of which can hold a credential
_PACKAGES = ("numpy", "opencv-python-headless", "av", "ai-edge-litert")


class Facts:
    """Those of one process; ModelError where the settings name no model."""

    def __init__(self, settings: Settings) -> None:
        self.card = read_card(model_folder(settings.model.path))
        self._settings = {name: asdict(getattr(settings, name)) for name in _SECTIONS}
        self._versions = {"dfd": __version__, "python": platform.python_version()}
        for package in _PACKAGES:
            try:
                self._versions[package] = version(package)
            except PackageNotFoundError:
                continue

    def of(self, redis: Redis, stream: str) -> dict[str, Any]:
        """The facts beside an alarm of `stream`, for JSON; RedisError."""
        status = read_statuses(redis).get(stream)
        return {
            "written_at_s": time.time(),
            "source": None if status is None else status.source,
            "live": None if status is None else status.live,
            "model": {"name": model_name(self.card), "files": dict(self.card.files)},
            "settings": self._settings,
            "versions": self._versions,
            "meaning": "Times _s: media seconds; _at_s: Unix seconds. A probability is no proof: see the model's card.",
        }

    def limits(self, redis: Redis) -> Thresholds | None:
        """The thresholds of the model that scores; None before one does. RedisError."""
        text: Any = redis.get(keys.MODEL_KEY)
        try:
            info = records.parse_model(text) if text else None
        except WireError:
            return None
        return None if info is None else Thresholds(info.enter, info.exit)
