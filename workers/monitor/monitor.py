"""Results from Redis to verdicts and metrics.

Each turn reads new events, brings the results in order, moves the faces' states, writes the notices to all sinks, and
then stores in one transaction how far it got and each run's state. A monitor that dies goes on from there: what it had
written already comes again with the same key, and the sinks skip it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from dfd_core.errors import QueueError, SettingsError, WireError
from dfd_core.judging.calibration import settings_by_stream
from dfd_core.models.store import model_folder, read_card
from dfd_core.process.backoff import Backoff
from dfd_core.queue import keys, records
from dfd_core.queue.boards import StreamBoard
from dfd_core.queue.broker import REDIS_AWAY, redact_redis, trouble
from dfd_core.settings import Settings, VerdictSettings
from dfd_core.types import EndEvent, Thresholds, WindowEvent
from workers.monitor.boards import board_of
from workers.monitor.calm import CalmTeller
from workers.monitor.canaries import Canaries
from workers.monitor.metrics import MonitorMetrics
from workers.monitor.notices import Notice, Row
from workers.monitor.poller import Overview
from workers.monitor.runs import RunBook, Turn
from workers.monitor.sinks import Sink
from workers.monitor.status import row_of
from workers.monitor.traces import NoTraces, Traces

BATCH = 500  # events read at once
BLOCK_MS = 250  # longest wait for the next event
LOOK_S = 0.5  # between two looks at the sources and the queue
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0  # between two attempts to reach a Redis that was lost
_START = "0-0"


class Monitor:
    """Reads `dfd:results` into sinks and metrics; `report` gets a sentence when Redis is lost and when it is back."""

    def __init__(
        self,
        client: Redis,
        settings: Settings,
        sinks: Sequence[Sink],
        metrics: MonitorMetrics,
        report: Callable[[str], None] = lambda text: None,
        *,
        traces: Traces | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Goes on where the last monitor on this Redis stopped; QueueError or ModelError where it cannot."""
        self._traces, self._clock = traces or NoTraces(), clock
        self._client, self._settings, self._sinks = client, settings, sinks
        self._metrics, self._report = metrics, report
        self._redis = redact_redis(settings.redis.url)
        self._own_thresholds: Thresholds | None = None
        self._overview = Overview(client, metrics, settings.metrics.forget_s, clock)
        self._overview.look()
        self._canaries = Canaries(metrics)
        patience_s = settings.queue.file_ttl_s
        self._by_calibration = settings_by_stream(settings.verdict)
        statuses = self._overview.statuses
        own = self._verdict_settings
        self._book = RunBook(
            settings.verdict, self._thresholds(), statuses, patience_s, own, adaptive=settings.adaptive
        )
        self._calm = CalmTeller(client, settings.adaptive)
        self._latency_s: dict[str, float] = {}
        self._cursor = _START
        self._gaps_are_final = False
        self._stored: dict[str, str] = {}  # what dfd:monitor holds
        self._unwritten: list[Notice] | None = None  # of a turn that Redis did not let us finish
        self._untold: list[Notice] = []  # of streams that were forgotten
        self._look_at = self._clock() + LOOK_S
        self._restore()

    def run(
        self,
        stop: threading.Event,
        every_look: Callable[[list[Row]], None] = lambda rows: None,
        hold: Callable[[], bool] = lambda: True,
    ) -> bool:
        """Work until `stop` is set; a Redis that is lost in mid-run is waited for.

        `hold` is asked before each turn whether this is still the monitor: false is returned once it is not.
        """
        pauses, pause_s = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S), 0.0
        while not stop.wait(pause_s):
            try:
                if not hold():
                    return False
                if pause_s:
                    self._mind_the_gap()
                self.turn()
                if self._clock() >= self._look_at:
                    self._look()
                    every_look(self.rows())
            except REDIS_AWAY as error:
                if not pause_s:
                    self._report(f"Redis at {self._redis} {trouble(error)}; trying again until it does.")
                self._metrics.redis(up=False)
                pause_s = pauses.next_s()
                continue
            except ResponseError as error:
                raise QueueError(f"Redis at {self._redis} refuses: {error}.") from None
            if pause_s:
                self._report(f"Redis at {self._redis} answers again; going on where it was lost.")
                pause_s = 0.0
                pauses.reset()
                self._look_at = self._clock()  # what was gone from the metrics comes back
            self._metrics.redis(up=True)
        return True

    def turn(self) -> None:
        """Read what is new, at most `BATCH` events, and bring it to sinks and metrics."""
        if self._unwritten is None:
            self._unwritten = self._read()
        self._calm.tell(self._book.runs, self._overview.specs, self._overview.statuses)
        for sink in self._sinks:
            sink.write(self._unwritten)
        self._store()
        self._unwritten = None

    def rows(self) -> list[Row]:
        """What a table shows now, a row a stream."""
        statuses, runs = self._overview.statuses, self._book.runs
        return [
            row_of(
                name,
                statuses.get(name),
                runs.get(name),
                self._latency_s.get(name),
                waiting=self._overview.waiting.get(name, 0),
                silent=name in self._overview.silent,
            )
            for name in dict.fromkeys([*statuses, *runs])
        ]

    def boards(self) -> list[StreamBoard]:
        """The same, and each face, for who asks elsewhere."""
        runs = self._book.runs
        return [board_of(row, runs.get(row.stream)) for row in self.rows()]

    def _read(self) -> list[Notice]:
        reply: Any = self._client.xread({keys.RESULTS_KEY: self._cursor}, count=BATCH, block=BLOCK_MS)
        events = [(entry_id.decode(), self._parse(fields)) for entry_id, fields in (reply[0][1] if reply else [])]
        if any(event is not None and event.stream not in self._overview.statuses for _, event in events):
            self._look()  # before anything changes: Redis may be gone by now, and then all is read again
        now_s = self._clock()
        notices: list[Notice] = []
        for entry_id, event in events:
            self._cursor = entry_id
            if event is not None:
                notices += self._account(self._book.take(entry_id, event, now_s))
        notices += self._account(self._book.turn(now_s, self._gaps_are_final))
        self._gaps_are_final = False
        notices, self._untold = notices + self._untold, []
        return notices

    def _parse(self, fields: Mapping[bytes, bytes]) -> WindowEvent | EndEvent | None:
        try:
            return records.parse_event(fields)
        except WireError as error:
            self._report(f"An entry of {keys.RESULTS_KEY} was skipped: {error}")
            return None

    def _account(self, turn: Turn) -> list[Notice]:
        now_unix_s = self._overview.now_s()
        for result in turn.results:
            self._metrics.window(result, now_unix_s)
            self._traces.window(result, now_unix_s)
            if result.scores:
                self._latency_s[result.stream] = now_unix_s - result.captured_at_s
        for stream in turn.missing:
            self._metrics.missing(stream)
        for stream in turn.alarms:
            self._metrics.alarm_began(stream)
        for stream, verdict in turn.lasting.items():
            self._metrics.alarm(stream, verdict)
        self._canaries.take(turn, now_unix_s, self._clock())
        return turn.notices

    def _store(self) -> None:
        """Keep how far we are, where it changed; the cursor stays before what is held back, to be read again."""
        held = self._book.held_back()
        anchor = min(held, key=_order) if held else self._cursor
        wanted = {"cursor": _before(anchor) if held else self._cursor, "anchor": anchor}
        wanted["retired"] = self._book.retired()
        wanted |= {f"run:{run.stream}": run.snapshot() for run in self._book.runs.values() if not run.done}
        changed = {key: value for key, value in wanted.items() if self._stored.get(key) != value}
        gone = [key for key in self._stored if key not in wanted]
        if not changed and not gone:
            return
        pipe = self._client.pipeline(transaction=True)
        if changed:
            pipe.hset(keys.MONITOR_KEY, mapping=dict[Any, Any](changed))
        if gone:
            pipe.hdel(keys.MONITOR_KEY, *gone)
        pipe.execute()
        self._stored = wanted

    def _restore(self) -> None:
        kept: Any = self._client.hgetall(keys.MONITOR_KEY)
        stored: dict[str, bytes] = {key.decode(): value for key, value in kept.items()}
        snapshots = {key[4:]: value for key, value in stored.items() if key.startswith("run:")}
        self._book.restore(stored.get("retired"), snapshots)
        self._cursor = stored.get("cursor", b"0-0").decode()
        self._stored = {key: value.decode() for key, value in stored.items()}
        self._mind_the_gap()

    def _mind_the_gap(self) -> None:
        """Where Redis has removed results that we never read, or all of them, say so and wait for none of them."""
        anchor = self._stored.get("anchor", _START)
        if anchor == _START:
            if not self._client.exists(keys.RESULTS_KEY):
                return
            info = self._client.xinfo_stream(keys.RESULTS_KEY)
            lost = int(info["entries-added"]) > int(info["length"])
        else:
            lost = not self._client.xrange(keys.RESULTS_KEY, anchor, anchor)
        if lost:
            self._gaps_are_final = True
            self._note_loss()
            self._report(
                "Redis no longer holds some results that this monitor has not read; going on with what is left."
            )

    def _note_loss(self) -> None:
        """All that was in Redis may be gone: write ours anew, and read from its start what begins anew."""
        self._stored = {}
        self._book.lose()
        newest: Any = self._client.xrevrange(keys.RESULTS_KEY, count=1)
        if not newest or _order(newest[0][0].decode()) < _order(self._cursor):
            self._cursor = _START

    def _look(self) -> None:
        self._look_at = self._clock() + LOOK_S
        if self._stored and not self._client.exists(keys.MONITOR_KEY):
            self._note_loss()
            self._report("Redis was emptied; going on with what comes.")
        self._overview.look([run.stream for run in self._book.runs.values()])
        self._canaries.look(self._overview.specs, self._overview.statuses, self._clock())
        self._book.thresholds = self._thresholds()
        forgotten = self._overview.forgotten
        if forgotten:
            self._untold += self._account(self._book.forget(forgotten, self._clock()))
            for stream in forgotten:
                self._latency_s.pop(stream, None)
                self._metrics.forget(stream)

    def _verdict_settings(self, stream: str) -> VerdictSettings:
        """Those of one stream: what its table says, else what calibration fitted, else what holds for all."""
        own, spec = self._by_calibration(stream), self._overview.specs.get(stream)
        if spec is None:
            return own
        try:
            return spec.settings(replace(self._settings, verdict=own), "verdict").verdict
        except SettingsError as error:  # its numbers fit the settings of ingest, and not ours
            self._report(f"The numbers of stream {stream} are left out of its verdicts: {error}")
            return own

    def _thresholds(self) -> Thresholds:
        """Those of the model that the workers score with; before one is at work, of the card of our own."""
        verdict, model = self._settings.verdict, self._overview.model
        if verdict.enter and verdict.exit:
            return Thresholds(verdict.enter, verdict.exit)
        if model is not None:
            return Thresholds(model.enter, model.exit)
        if self._own_thresholds is None:
            self._own_thresholds = read_card(model_folder(self._settings.model.path)).thresholds
        return self._own_thresholds


def _order(entry_id: str) -> tuple[int, int]:
    """Ids of stream entries, `milliseconds-number`, in order."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)


def _before(entry_id: str) -> str:
    """The id just before, so that reading after it begins with `entry_id`."""
    milliseconds, number = _order(entry_id)
    return f"{milliseconds}-{number - 1}" if number else f"{milliseconds - 1}-{2**64 - 1}"
