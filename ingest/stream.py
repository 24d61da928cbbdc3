"""One source in a process of its own: frames to Redis, a status each second to Redis and to the parent."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing.connection import Connection
from types import FrameType

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from dfd_core.conditions import Condition
from dfd_core.errors import DfdError, QueueError, VideoError
from dfd_core.media import redact
from dfd_core.process.bounds import cpu_limit, limit_memory, limit_writing
from dfd_core.process.guard import end_with_parent
from dfd_core.process.logs import start_logging
from dfd_core.process.memory import give_back
from dfd_core.process.signals import Stop
from dfd_core.queue import keys, records
from dfd_core.queue.broker import open_client
from dfd_core.settings import Settings
from dfd_core.types import StreamState, StreamStatus
from ingest.outbox import Outbox
from ingest.publisher import Publisher
from ingest.pump import Pump, PumpStopped
from ingest.scene import SceneShower
from ingest.sources import open_source

STATUS_S = 1.0
GIVE_BACK_S = 30  # seconds between returns of free memory to the system
EXIT_FAILED = 78  # the source or the queue failed with a sentence, which the last report carries

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What the parent learns each second; `waiting`: no frames are taken, because a queue is full or a stream lost."""

    status: StreamStatus
    waiting: bool


def run_stream(url: str, name: str, live: bool | None, settings: Settings, parent: Connection) -> None:
    """Pump one source until it ends or SIGTERM; exits with 0, or EXIT_FAILED after a report with the error."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which the process that this one was forked from ignores
    end_with_parent()
    start_logging(settings.log, logging.WARNING)
    limit_memory(settings.video.max_memory_bytes)
    limit_writing()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which sends SIGTERM
    try:
        _pump(url, name, live, settings, parent)
    except DfdError as error:
        _send(parent, Report(_failed(url, name, str(error)), waiting=False))
        sys.exit(EXIT_FAILED)


def _pump(url: str, name: str, live: bool | None, settings: Settings, parent: Connection) -> None:
    stop = Stop()
    source = open_source(url, settings.video, name, live)
    redis = open_client(settings.redis)  # its parent has seen that it answers; now a live source waits for it
    own = Publisher(redis, name, source.live, settings, stop)
    publisher = Outbox(own) if source.live else own
    pump = Pump(source, publisher, settings, stop)
    scene = SceneShower(redis, name) if settings.console.scene == "on" else None

    def request_stop(signum: int, frame: FrameType | None) -> None:
        stop.set()
        if pump.fetching:
            raise PumpStopped

    signal.signal(signal.SIGTERM, request_stop)
    teller = Teller(redis, pump, publisher, parent, scene)
    teller.start()
    failure: DfdError | None = None
    endless = source.live or url.startswith("watch:")
    try:
        with cpu_limit(0 if endless else settings.video.max_cpu_s):
            pump.run()
    except DfdError as error:
        failure = error
    except MemoryError:
        if endless:
            raise  # a fresh process reads on
        failure = VideoError(f"{redact(url)} takes more memory than video.max_memory_bytes allows.")
    try:
        pump.finish(str(failure) if failure else None)
    except QueueError as error:
        failure = failure or error
    teller.report()
    if failure is not None and not stop.is_set():
        sys.exit(EXIT_FAILED)


class Teller(threading.Thread):
    """Tells Redis and the parent how the source is doing, and shows Redis what it sees, with a `scene`."""

    def __init__(
        self,
        redis: Redis,
        pump: Pump,
        publisher: Publisher | Outbox,
        parent: Connection,
        scene: SceneShower | None = None,
    ) -> None:
        super().__init__(name="teller", daemon=True)
        self._redis, self._pump, self._publisher = redis, pump, publisher
        self._reports, self._scene = parent, scene
        self._lock = threading.Lock()
        self._refused = ""  # what Redis said last, to say it once

    def run(self) -> None:
        """Tell each second."""
        for second in count():
            self.report()
            if second % GIVE_BACK_S == 0:
                give_back()
            image, self._pump.image = self._pump.image, None
            if self._scene is not None and image is not None:
                self._scene.show(image)
            time.sleep(STATUS_S)

    def report(self) -> None:
        """One status."""
        with self._lock:
            status = self._pump.status()
            _send(self._reports, Report(status, self._publisher.waiting or self._pump.resting))
            try:
                self._publisher.clock.look()  # no window may come for long
                self._redis.hset(keys.STREAMS_KEY, status.stream, records.pack_status(status))
            except RedisError as error:  # whatever it is, the parent still hears, and the next status may come through
                if isinstance(error, ResponseError) and str(error) != self._refused:
                    self._refused = str(error)
                    log.warning("Redis refuses the status of %s: %s.", status.stream, error)


def _send(parent: Connection, report: Report) -> None:
    try:
        parent.send(report)
    except OSError:
        log.debug("The parent process is gone.")


def _failed(url: str, name: str, error: str) -> StreamStatus:
    status = StreamStatus(name, "", StreamState.ENDED, False, redact(url), time.time(), error=error)
    return replace(status, condition=Condition.FAILED, since_at_s=status.heartbeat_at_s)
