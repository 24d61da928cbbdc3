"""The monitor's memory without its Redis: one run of each source, its results in order, its faces' states."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from dfd_core.errors import WireError
from dfd_core.judging.calibration import settings_by_stream
from dfd_core.judging.calm import Calm
from dfd_core.judging.verdict import VerdictMachine
from dfd_core.sections import AdaptiveSettings
from dfd_core.settings import VerdictSettings
from dfd_core.types import EndEvent, State, StreamStatus, Thresholds, Verdict, WindowEvent, WindowResult
from workers.monitor.notices import Notice, describe
from workers.monitor.reorder import Reorder

RETIRED = 1000  # run ids that are remembered, so that their stragglers are not taken for new runs
_Entry = tuple[str, WindowResult]  # with its id in dfd:results


@dataclass(slots=True)
class Run:
    """One start of one source, as the monitor sees it; `verdict` is on the stream now, or on the whole once `done`."""

    stream: str
    id: str
    machine: VerdictMachine
    calm: Calm
    verdict: Verdict
    text: str
    order: Reorder[_Entry] = field(default_factory=Reorder)
    end: EndEvent | None = None
    end_entry: str = ""  # its id in dfd:results
    end_since_s: float = 0.0  # monotonic
    captured_at_s: float = 0.0  # of the last result
    alarm: bool = False
    done: bool = False
    lossy: bool = False  # Redis has lost some of its windows: they are not waited for as long as a file's

    @property
    def complete(self) -> bool:
        """Every result has had its turn, and none follows."""
        return self.end is not None and self.order.next > self.end.last_seq

    def snapshot(self) -> str:
        """JSON of what must outlive the process."""
        return json.dumps({"run": self.id, "next": self.order.next, "machine": self.machine.snapshot()})


@dataclass(slots=True)
class Turn:
    """What happened in one turn, in order."""

    notices: list[Notice] = field(default_factory=list)
    results: list[WindowResult] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # the stream of each window that never came
    alarms: list[str] = field(default_factory=list)  # the stream of each alarm that began
    lasting: dict[str, Verdict | None] = field(default_factory=dict)  # by stream: its alarm after the turn, if any


class RunBook:
    """Takes events as they come and gives notices in order; `now_s` is monotonic time."""

    def __init__(
        self,
        settings: VerdictSettings,
        thresholds: Thresholds,
        statuses: Mapping[str, StreamStatus],
        file_patience_s: float,
        settings_of: Callable[[str], VerdictSettings] | None = None,
        *,
        adaptive: AdaptiveSettings | None = None,
    ) -> None:
        """`file_patience_s`: a file's windows are waited for as long as their pixels may still be scored.

        `settings_of` gives the settings of one stream's verdicts; by default they differ by their thresholds only.

        Who owns the book keeps `thresholds`, of runs to come, and `statuses`, by stream, up to date.
        """
        self._settings, self.thresholds, self._statuses = settings, thresholds, statuses
        self._settings_of = settings_of or settings_by_stream(settings)
        self._file_patience_s, self._adaptive = file_patience_s, adaptive or AdaptiveSettings()
        self._retired: deque[str] = deque(maxlen=RETIRED)
        self.runs: dict[str, Run] = {}

    def take(self, entry_id: str, event: WindowEvent | EndEvent, now_s: float) -> Turn:
        """Note an event; what it sets free comes with the next `turn`, but a new run closes the one before at once."""
        turn = Turn()
        run = self._run_of(event, turn)
        if run is None:
            return turn
        if isinstance(event, WindowEvent):
            run.order.push(event.result.seq, (entry_id, event.result), now_s)
        else:
            run.end, run.end_entry, run.end_since_s = event, entry_id, now_s
        return turn

    def turn(self, now_s: float, gaps_are_final: bool = False) -> Turn:
        """All results whose turn has come; with `gaps_are_final` nothing that is missing is waited for."""
        turn = Turn()
        for run in list(self.runs.values()):
            if run.done:
                continue
            patience_s = 0.0 if gaps_are_final else self._patience_s(run)
            self._drain(run, now_s, patience_s, turn)
            if run.end is not None and not run.complete and now_s - run.end_since_s >= patience_s:
                run.order.skip_to(run.end.last_seq + 1)
            self._note_missing(run, turn)
            if run.complete:
                self._finish(run, turn)
        return turn

    def lose(self) -> None:
        """Redis has lost what was on its way."""
        for run in self.runs.values():
            run.lossy = not run.done

    def forget(self, streams: Collection[str], now_s: float) -> Turn:
        """Keep nothing of these; what one of them has not told yet comes now."""
        turn = Turn()
        for run in [self.runs[stream] for stream in streams if stream in self.runs]:
            if not run.done:
                self._drain(run, now_s, 0.0, turn)
                self._note_missing(run, turn)
                self._finish(run, turn, "nobody reads this source any more")
            self.runs.pop(run.stream, None)
        return turn

    def held_back(self) -> list[str]:
        """Ids of the entries of dfd:results that were read but have not had their turn."""
        active = [run for run in self.runs.values() if not run.done]
        ends = [run.end_entry for run in active if run.end is not None]
        return [entry_id for run in active for entry_id, _ in run.order.waiting()] + ends

    def retired(self) -> str:
        """JSON of the runs that are over."""
        return json.dumps(list(self._retired))

    def restore(self, retired: str | bytes | None, snapshots: dict[str, bytes]) -> None:
        """Go on from what `retired` and each run's `snapshot` said; WireError for those of another version."""
        try:
            self._retired.extend(json.loads(retired or "[]"))
            for stream, text in snapshots.items():
                data = json.loads(text)
                run = self._open(stream, data["run"])
                run.order = Reorder(int(data["next"]))
                run.machine.restore(data["machine"])
                _look(run)
        except (KeyError, TypeError, ValueError, RecursionError):
            raise WireError("What the last monitor left in Redis is not of this version: delete dfd:monitor.") from None

    def _run_of(self, event: WindowEvent | EndEvent, turn: Turn) -> Run | None:
        """The run that the event belongs to, opened if need be; None for stragglers of an older run."""
        if event.run in self._retired:
            return None
        current = self.runs.get(event.stream)
        if current is not None and current.id == event.run:
            return current
        if current is not None and not current.done:
            status = self._statuses.get(event.stream)
            if status is not None and status.run == current.id:
                self._retired.append(event.run)
                return None
            self._drain(current, 0.0, 0.0, turn)
            self._note_missing(current, turn)
            self._finish(current, turn, "the source was started again")
        return self._open(event.stream, event.run)

    def _open(self, stream: str, run_id: str) -> Run:
        machine = VerdictMachine(self._settings_of(stream), self.thresholds)
        state = machine.stream_state()
        run = Run(stream, run_id, machine, Calm(self._adaptive, machine.enter), state, describe(state))
        self.runs.pop(stream, None)
        self.runs[stream] = run
        return run

    def _patience_s(self, run: Run) -> float:
        status = self._statuses.get(run.stream)
        live = status is None or status.live or run.lossy
        return self._settings.reorder_timeout_s if live else self._file_patience_s

    def _drain(self, run: Run, now_s: float, patience_s: float, turn: Turn) -> None:
        for _, result in run.order.pop(now_s, patience_s):
            run.captured_at_s, run.lossy = result.captured_at_s, False
            turn.results.append(result)
            run.calm.see(result)
            for verdict in run.machine.update(result):
                key = f"{run.stream}/{run.id}/{result.seq}/{verdict.track}"
                if verdict.state is State.UNKNOWN:
                    key += "/gone"  # a track may end and another of the same id begin with one window
                turn.notices.append(Notice(key, verdict, describe(verdict), result.captured_at_s))
            before = run.alarm
            _look(run)
            if run.alarm and not before:
                turn.alarms.append(run.stream)
            turn.lasting[run.stream] = run.verdict if run.alarm else None

    def _note_missing(self, run: Run, turn: Turn) -> None:
        turn.missing.extend([run.stream] * run.order.given_up)
        run.order.given_up = 0

    def _finish(self, run: Run, turn: Turn, reason: str | None = None) -> None:
        """The source is over: say what it amounts to, and forget all but that."""
        run.done, run.alarm = True, False
        turn.lasting[run.stream] = None
        self._retired.append(run.id)
        reason = run.end.reason if run.end is not None else reason
        run.verdict = replace(_on_the_whole(run.machine), stream=run.stream)
        run.text = run.machine.summary().text
        key = f"{run.stream}/{run.id}/end"
        turn.notices.append(Notice(key, run.verdict, run.text, run.captured_at_s, True, reason))
        for stream in [stream for stream, other in self.runs.items() if other.done][:-RETIRED]:
            del self.runs[stream]


def _look(run: Run) -> None:
    """Take over what the machine thinks of the stream now."""
    run.verdict = run.machine.stream_state()
    run.text, run.alarm = describe(run.verdict), run.verdict.state is State.FAKE


def _on_the_whole(machine: VerdictMachine) -> Verdict:
    """One verdict on all that a machine has seen; `track` and `since_s` are those of the worst interval."""
    now, summary = machine.stream_state(), machine.summary()
    track, since_s = (now.track, 0.0) if summary.worst is None else (summary.worst.track, summary.worst.start_s)
    return replace(now, state=summary.state, track=track, since_s=since_s, fake_probability=summary.fake_probability)
