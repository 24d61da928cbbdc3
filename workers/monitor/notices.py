"""What the monitor tells, and how it travels as JSON lines: to programs, and to `dfd watch`, which reads them back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from dfd_core.names import format_time
from dfd_core.types import State, Verdict

FAILED = "failed"  # a source that could not even be opened


@dataclass(frozen=True, slots=True)
class Row:
    """`source` is what the source does, `state` what is thought of its faces; `time_s` media seconds."""

    stream: str
    source: str
    state: str
    text: str
    fake_probability: float | None
    time_s: float
    fps: float
    latency_s: float | None
    queue: int
    dropped: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """A face changed its state, or (`final`) a source ended and `verdict` is on the whole of it.

    `key` names it for good; `text` is for people; `captured_at_s` is the Unix time of the last frame that it rests on;
    `reason` says why a source ended early.
    """

    key: str
    verdict: Verdict
    text: str
    captured_at_s: float
    final: bool = False
    reason: str | None = None

    @property
    def run(self) -> str:
        """The run of the source that it is about: the second part of the key."""
        return self.key.partition("/")[2].partition("/")[0]

    def json(self) -> str:
        """One line without line end."""
        data: dict[str, Any] = {"event": "end" if self.final else "verdict", "text": self.text, **asdict(self.verdict)}
        data |= {"captured_at_s": self.captured_at_s, "reason": self.reason, "key": self.key}
        return json.dumps(data)

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Notice:
        """The notice whose `json` gave `data`."""
        values = {field.name: data[field.name] for field in fields(Verdict)}
        verdict = Verdict(**{**values, "state": State(data["state"])})
        final = data["event"] == "end"
        return cls(data["key"], verdict, data["text"], data["captured_at_s"], final, data["reason"])

    def line(self) -> str:
        """What a terminal shows."""
        if self.final:
            return f"{self.verdict.stream}: ended, {self.text}" + (f" ({self.reason})" if self.reason else "")
        probability = self.verdict.fake_probability
        shown = "" if probability is None else f" (probability {probability:.2f})"
        return f"{self.verdict.stream}: face {self.verdict.track} {self.text}{shown}"


def describe(verdict: Verdict) -> str:
    """`fake from 00:14` or the like."""
    what = "not seen" if verdict.state is State.UNKNOWN else verdict.state.value
    return f"{what} from {format_time(verdict.since_s)}"


def rows_line(rows: Sequence[Row]) -> str:
    """One JSON line without line end."""
    return json.dumps({"event": "rows", "rows": [asdict(row) for row in rows]})


def metrics_line(url: str) -> str:
    """One JSON line that says where /metrics is."""
    return json.dumps({"event": "metrics", "url": url})


def read_line(line: str) -> Notice | list[Row] | str:
    """What a line of the monitor says: a notice, the rows of a table, or the URL of /metrics."""
    data = json.loads(line)
    if data["event"] == "rows":
        return [Row(**row) for row in data["rows"]]
    return str(data["url"]) if data["event"] == "metrics" else Notice.parse(data)
