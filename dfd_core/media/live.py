"""Cameras and other live streams (RTSP, RTMP, SRT, HTTP): newest first, and opened again for as long as it takes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Iterator
from dataclasses import replace

from dfd_core.errors import RefusedError, VideoError
from dfd_core.media import read_frames, redact
from dfd_core.media.live_clock import LiveClock
from dfd_core.media.newest import NewestFrames
from dfd_core.process.backoff import Backoff
from dfd_core.settings import VideoSettings
from dfd_core.types import Frame

_FIRST_PAUSE_S = 0.5  # before reconnecting; doubled after each failure up to reconnect_max_s
_REFUSED_S = 30.0, 900.0  # likewise after a refusal: cameras lock the account of who knocks too often
_JITTER = 0.5  # of each pause: many streams of one server shall not knock all at once

_log = logging.getLogger("dfd.ingest")


class LiveSource:
    """One live stream; after a loss its media time goes on by our clock, so that the gap shows in it.

    `patient`: the first connection may fail too, and is tried again.
    """

    live = True

    def __init__(self, url: str, name: str, settings: VideoSettings, *, patient: bool = True) -> None:
        self.name = name
        self.description = redact(url)
        self.reconnects = 0
        self.trouble: VideoError | None = None
        self.resting = False
        self._url = url
        self._settings, self._patient = settings, patient
        self._clock = LiveClock(1 / settings.sample_fps)
        self._newest = NewestFrames(self._connected, settings.sample_fps)

    @property
    def dropped(self) -> int:
        """Sampled frames that were not fetched in time."""
        return self._newest.dropped

    @property
    def clock_drift_s(self) -> float:
        """How far the stream's stamps have gone ahead of the time that passed here, seconds."""
        return self._clock.drift_s

    def frames(self) -> Generator[Frame, None, None]:
        """Sampled frames until the iterator is closed; VideoError if it never came up, unless it is `patient`."""
        return self._newest.__iter__()

    def _connected(self, stop: threading.Event) -> Iterator[Frame]:
        """Frames of one connection after the other."""
        lost, refused = Backoff(_FIRST_PAUSE_S, self._settings.reconnect_max_s, _JITTER), Backoff(*_REFUSED_S)
        last: Frame | None = None
        while not stop.is_set():
            try:
                pauses, before = lost, 0 if last is None else last.index + 1
                self._clock.rejoin()
                for frame in read_frames(self._url, self.name, self._settings, live=True, clock=self._clock):
                    self.trouble = None
                    lost.reset()
                    refused.reset()
                    last = replace(frame, index=frame.index + before)
                    yield last
            except VideoError as error:
                if last is None and not self._patient:
                    raise
                pauses = refused if isinstance(error, RefusedError) else lost
                self._report(error)
            self.resting = True
            stop.wait(pauses.next_s())
            self.resting = False
            self.reconnects += not stop.is_set()

    def _report(self, trouble: VideoError) -> None:
        """Log a trouble once, not at every attempt."""
        if str(trouble) != str(self.trouble):
            _log.warning("%s: %s Trying again until it comes back.", self.name, trouble)
        self.trouble = trouble
