"""The results as one HTML page that needs nothing else: summary, table, timelines, worst frames, model card."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from dfd_core.bulk import Entry
from dfd_core.types import State
from dfd_core.verdict import format_time

_TEMPLATE = Path(__file__).parent / "page.html"
_WIDTH, _HEIGHT = 640, 96  # px of a timeline's own coordinates
_LIMITS = (
    "A probability is a measurement by one network, not proof. Faces that are wholly synthesised, small, dark, blurred "
    "or heavily compressed may pass unseen, and real ones may be flagged. Do not accuse anybody on the strength of "
    "this page: look at the frames, and at where the file comes from."
)


def html_page(entries: Sequence[Entry], models: Mapping[str, str]) -> str:
    """The page of entries that have reports; `models` maps each model's name to its card in words."""
    flagged = [entry for entry in entries if entry.report["state"] == State.FAKE]
    cards = "".join(
        f"<details><summary>{escape(n)}</summary><pre>{escape(t)}</pre></details>" for n, t in models.items()
    )
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        written=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        summary=_summary(entries),
        rows="".join(_row(number, entry) for number, entry in enumerate(entries)),
        flagged="".join(_section(entries.index(e), e) for e in flagged) or "<p>No file was found fake.</p>",
        limits=escape(_LIMITS),
        cards=cards,
    )


def _summary(entries: Sequence[Entry]) -> str:
    counts = Counter(entry.report["state"] for entry in entries)
    seconds = sum(float(entry.report["duration_s"]) for entry in entries)
    words = [(State.FAKE, "found fake"), (State.SUSPECT, "suspect"), (State.AUTHENTIC, "authentic")]
    tiles = [(str(len(entries)), "files"), *((str(counts[state]), word) for state, word in words)]
    tiles += [(str(counts[State.UNKNOWN]), "not scorable"), (format_time(seconds), "of video")]
    return "".join(f"<li><b>{number}</b> {word}</li>" for number, word in tiles)


def _row(number: int, entry: Entry) -> str:
    report = entry.report
    name = escape(entry.file.path)
    if report["state"] == State.FAKE:
        name = f'<a href="#file-{number}">{name}</a>'
    verdict = report["verdict"] + (f": {report['reason']}" if report["reason"] else "")
    probability = report["fake_probability"]
    cells = [
        (entry.file.path, name),
        (verdict, f'<span class="{escape(report["state"])}">{escape(verdict)}</span>'),
        (-1 if probability is None else probability, "-" if probability is None else f"{probability:.2f}"),
        (report["duration_s"], format_time(report["duration_s"])),
        (report["faces"], str(report["faces"])),
    ]
    return "<tr>" + "".join(f'<td data-key="{escape(str(key))}">{text}</td>' for key, text in cells) + "</tr>\n"


def _section(number: int, entry: Entry) -> str:
    report = entry.report
    frames = "".join(
        f'<figure><img alt="frame at {format_time(p["time_s"])}" src="data:image/jpeg;base64,{p["jpeg"]}">'
        f"<figcaption>{format_time(p['time_s'])} · {p['probability']:.2f}</figcaption></figure>"
        for p in report["pictures"]
    )
    facts = {"verdict": report["verdict"], "SHA-256": entry.file.digest, "model": report["model"], **entry.file.columns}
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in facts.items())
    head = f'<section id="file-{number}"><h3>{escape(entry.file.path)}</h3>'
    return f'{head}<dl>{rows}</dl>{timeline(report)}<div class="frames">{frames}</div></section>\n'


def timeline(report: Mapping[str, Any]) -> str:
    """The fake probability over media time as SVG, with the threshold from which a face counts as fake."""
    points = report["timeline"]
    end_s = max([float(report["duration_s"]), *(time_s for time_s, _ in points), 1e-3])
    line = " ".join(f"{time_s / end_s * _WIDTH:.1f},{(1 - p) * _HEIGHT:.1f}" for time_s, p in points)
    dots = "".join(f'<circle cx="{t / end_s * _WIDTH:.1f}" cy="{(1 - p) * _HEIGHT:.1f}" r="2"/>' for t, p in points)
    enter = (1 - float(report["thresholds"][0])) * _HEIGHT
    label = f"fake probability over time, from 0 to {format_time(end_s)}; alarm above {report['thresholds'][0]:.2f}"
    return (
        f'<svg viewBox="-4 -4 {_WIDTH + 8} {_HEIGHT + 22}" role="img" aria-label="{label}">'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}"/>'
        f'<line class="enter" x2="{_WIDTH}" y1="{enter:.1f}" y2="{enter:.1f}"/>'
        f'<polyline points="{line}"/>{dots}<text y="{_HEIGHT + 14}">00:00</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT + 14}" text-anchor="end">{format_time(end_s)}</text></svg>'
    )
