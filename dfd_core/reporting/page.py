"""Reports as one HTML page that needs nothing else: summary, table, timelines, worst frames, model card."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dfd_core.judging.report import Report
from dfd_core.models.store import SHIPPED, model_folder, model_name, read_card
from dfd_core.names import format_time, one_line
from dfd_core.reporting.report import Picture, words_of
from dfd_core.settings import Settings
from dfd_core.types import State

if TYPE_CHECKING:  # to import it takes as long as to load the model, and a scan without a page needs none
    from jinja2 import Environment

_WIDTH, _HEIGHT = 640, 96  # px of a timeline's own coordinates
_LIMITS = (
    "A probability is a measurement by one network, not proof. Faces that are wholly synthesised, small, dark, blurred "
    "or heavily compressed may pass unseen, and real ones may be flagged. Do not accuse anybody on the strength of "
    "this page: look at the frames, and at where the file comes from."
)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The fake probability over media time as points (x, y), px of a picture of `width` times `height`.

    `enter` is where the threshold lies from which a face counts as fake, `end` the media time at the right.
    """

    width: int
    height: int
    points: tuple[tuple[str, str], ...]
    enter: str
    end: str
    label: str


@dataclass(frozen=True, slots=True)
class PageRow:
    """A file of the page; `facts` are told of one that was found fake, besides its verdict and its model."""

    name: str
    report: Report
    pictures: Sequence[Picture] = ()
    more: Sequence[tuple[str, str]] = ()

    @property
    def fake(self) -> bool:
        """Whether the page shows it at length."""
        return self.report.state is State.FAKE

    @property
    def words(self) -> str:
        """The verdict with its reason."""
        return words_of(self.report)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Names and values of all that is known of it."""
        notes = [("note", note) for note in self.report.notes]
        return [("verdict", self.words), *notes, ("model", self.report.model), *self.more]

    def timeline(self) -> Timeline:
        """What is drawn of it."""
        report = self.report
        end_s = max([report.duration_s, *(time_s for time_s, _ in report.timeline), 1e-3])
        points = tuple((f"{t / end_s * _WIDTH:.1f}", f"{(1 - p) * _HEIGHT:.1f}") for t, p in report.timeline)
        alarm, end = report.thresholds[0], format_time(end_s)
        label = f"fake probability over time, from 0 to {end}; alarm above {alarm:.2f}"
        return Timeline(_WIDTH, _HEIGHT, points, f"{(1 - alarm) * _HEIGHT:.1f}", end, label)


def html_page(rows: Sequence[PageRow], settings: Settings) -> str:
    """The page; all text in it is escaped, whoever wrote it. Write it with `names.ESCAPED`."""
    models = cards_of({row.report.model for row in rows}, settings)
    page = (
        _environment()
        .get_template("page.html")
        .render(
            written=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            tiles=_tiles(rows),
            rows=list(enumerate(rows)),
            limits=_LIMITS,
            models=models,
        )
    )
    return page + "\n"


def cards_of(models: Collection[str], settings: Settings) -> list[tuple[str, str]]:
    """Each model with its card in words, for those whose folder is at hand."""
    known = {}
    for folder in (model_folder(settings.model.path), SHIPPED):
        name, words = model_name(read_card(folder)), folder / "README.md"
        if words.is_file():
            known[name] = words.read_text(encoding="utf-8")
    return [(model, known.get(model, "Its card is not on this machine.")) for model in sorted(models)]


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, finalize=_text)
    made.filters["time"] = format_time
    made.filters["probability"] = lambda value: "-" if value is None else f"{value:.2f}"
    return made


def _text(value: object) -> object:
    """Text without control characters and what turns its direction, but with its lines."""
    return "\n".join(map(one_line, value.split("\n"))) if isinstance(value, str) else value


def _tiles(rows: Sequence[PageRow]) -> list[tuple[str, str]]:
    counts = Counter(row.report.state for row in rows)
    words = [(State.FAKE, "found fake"), (State.SUSPECT, "suspect"), (State.AUTHENTIC, "authentic")]
    tiles = [(str(len(rows)), "files"), *((str(counts[state]), word) for state, word in words)]
    tiles.append((str(counts[State.UNKNOWN]), "not scorable"))
    partial = sum(row.report.in_part for row in rows)
    tiles += [(str(partial), "read in part")] if partial else []
    return [*tiles, (format_time(sum(row.report.duration_s for row in rows)), "of video")]
