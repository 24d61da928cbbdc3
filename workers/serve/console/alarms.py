"""Alarms: the list, and one with its evidence, to be judged."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import Request
from nicegui import ui
from redis.exceptions import RedisError

from dfd_core.judging.fusion import logit
from dfd_core.names import format_time
from dfd_core.queue.alarms import Alarm, AlarmState, Review
from workers.evidence.bundle import HEAT, STRIP, TEXTURE, TIMELINE
from workers.evidence.places import open_bundle
from workers.serve.console.history import face_history, most_similar, told
from workers.serve.console.pictures import curve
from workers.serve.console.shell import Console, Visitor, frame, heading
from workers.serve.health import own_card
from workers.serve.problems import AWAY
from workers.serve.tokens import Role

_WORDS = {Review.NONE: "not judged yet", Review.CONFIRMED: "confirmed", Review.FALSE_ALARM: "a false alarm"}
_PICTURES = {
    STRIP: "The worst windows: each picture with its media time and what the network says of it alone",
    HEAT: "Where the network of the check appearance looked: red speaks for fake, blue for real",
    TEXTURE: "What the check texture looked at: red places speak for fake, blue for real; deviations are shared out",
    TIMELINE: "Every check and the fused probability, before and during the alarm",
}
_SPEAKS = {
    "appearance": "the face looks as where one was blended into a picture or drawn anew (edges, colours, shapes)",
    "texture": "the grain of the skin, and how it differs from that around the face, are as in fakes that it knows",
    "noise": "the noise of the picture is not that of a camera",
    "temporal": "the face moves or flickers as faces do not",
}
SIMILAR, LOOKED_AT = 10, 500


def alarm_line(alarm: Alarm) -> None:
    """An alarm in a list."""
    with ui.element("div").classes("alarm"):
        at = datetime.fromtimestamp(alarm.opened_at_s).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        ui.link(f"▲ {alarm.stream}, face {alarm.track}: thought fake, {at}", f"/alarm/{alarm.id}")
        ui.label(f"{_state(alarm)}; {_probability(alarm)}; {_WORDS[alarm.review]}").classes("faint")


def index(console: Console, request: Request) -> None:
    """All that are remembered, newest first."""
    with frame(console, request, "Alarms", "Alarms") as visitor:
        if visitor is None:
            return
        found = console.parts.alarms.find(limit=200)
        if not found:
            ui.label("No alarm yet.")
        for alarm in found:
            alarm_line(alarm)


def page(console: Console, request: Request, name: str) -> None:
    """One alarm."""
    with frame(console, request, "Alarms", "Alarm") as visitor:
        if visitor is None:
            return
        alarm = console.parts.alarms.get(name)
        if alarm is None:
            ui.label("No alarm of that id is known, or no longer: the newest 2000 are kept.")
            return
        _show(console, alarm)
        _judge(console, visitor, alarm)
        _show_evidence(console, alarm)
        heading("What else the face did", 2)
        for verdict in face_history(console.parts.redis, alarm):
            ui.label(told(verdict))
        heading("Earlier alarms of this stream, the most similar first", 2)
        others = most_similar(alarm, console.parts.alarms.find(stream=alarm.stream, limit=LOOKED_AT), SIMILAR)
        for other in others:
            alarm_line(other)
        if not others:
            ui.label("None that is remembered.")


def facts(values: Mapping[str, str]) -> None:
    """A list of names and values."""
    with ui.element("dl").classes("facts"):
        for name, value in values.items():
            with ui.element("dt"):
                ui.label(name)
            with ui.element("dd"):
                ui.label(value)


def _show(console: Console, alarm: Alarm) -> None:
    checks = ", ".join(f"{name} {value:.2f}" for name, value in sorted(alarm.checks.items()) if value is not None)
    facts(
        {
            "stream": f"{alarm.stream}, face {alarm.track}",
            "state": _state(alarm),
            "fake from": f"{format_time(alarm.since_s)} of the stream's time; told at {format_time(alarm.opened_s)}",
            "wall time": datetime.fromtimestamp(alarm.opened_at_s).astimezone().isoformat(" ", "seconds"),
            "worst window": f"{_probability(alarm)} ({checks or 'no checks'})",
            "why": accuser(alarm, own_card(console.parts.settings).fusion),
            "model": alarm.model or "not known",
        }
    )


def accuser(alarm: Alarm, weights: Mapping[str, Any]) -> str:
    """In words, which check speaks most for fake in the worst window, by the `weights` of the model's fusion."""
    speaks = {
        name: float(weights.get(name) or 0.0) * logit(value)
        for name, value in alarm.checks.items()
        if value is not None
    }
    name = max(speaks, key=lambda name: speaks[name], default="")
    if not name or speaks[name] <= 0:
        return "No check speaks for fake by itself: together they do, by the model's card."
    return f"{name} ({alarm.checks[name]:.2f}) speaks most for fake: {_SPEAKS.get(name, 'see its documentation')}."


def _judge(console: Console, visitor: Visitor, alarm: Alarm) -> None:
    heading("What was it?", 2)
    said = ui.label(f"It is {_WORDS[alarm.review]}.").props("role=status")
    note = ui.textarea("Note", value=alarm.note).props("outlined autogrow maxlength=2000").classes("w-full")

    def judge(review: Review | None) -> None:
        if visitor.refused(Role.OPERATE):
            return
        try:
            now = console.parts.alarms.review(alarm.id, review, (note.value or "")[:2000])
        except RedisError:
            ui.notify(AWAY, type="negative")
            return
        if now is None:
            ui.notify("This alarm is no longer remembered.", type="negative")
            return
        said.set_text(f"It is {_WORDS[now.review]}. Kept at {time.strftime('%H:%M:%S')}.")

    with ui.element("div").classes("row"):
        ui.button("Confirm", on_click=lambda: judge(Review.CONFIRMED)).props("no-caps color=negative")
        ui.button("False alarm", on_click=lambda: judge(Review.FALSE_ALARM)).props("no-caps color=primary")
        ui.button("Keep the note only", on_click=lambda: judge(None)).props("no-caps outline")


def _show_evidence(console: Console, alarm: Alarm) -> None:
    heading("Evidence", 2)
    bundle = open_bundle(console.parts.settings.evidence.folder, alarm.id)
    if bundle is None:
        ui.label("No bundle is here: dfd evidence keeps them in evidence.folder, which this server must see too.")
        _draw(console, alarm)
        return
    ui.link("Download the bundle (ZIP, with hashes)", f"/v1/alarms/{alarm.id}/bundle")
    for name, words in _PICTURES.items():
        if name in bundle.files:
            heading(words, 2)
            with ui.element("div").classes("scroll").props(f'tabindex="0" role="region" aria-label="{words}"'):
                ui.element("img").props(f'src="/v1/alarms/{alarm.id}/evidence/{name}" alt="{words}"').classes(
                    "evidence"
                )


def _draw(console: Console, alarm: Alarm) -> None:
    """The timeline from what Redis knows."""
    windows = console.parts.alarms.windows(alarm.id)
    points = [(w.end_s, w.fake_probability) for w in windows if w.fake_probability is not None]
    if points:
        lines = {"probability of fake": points}
        for name in sorted({name for w in windows for name in w.checks}):
            lines[name] = [(w.end_s, value) for w in windows if (value := w.checks.get(name)) is not None]
        ui.html(curve(lines, (points[0][0], points[-1][0]), None, "Every check over the stream's time"), sanitize=False)


def _state(alarm: Alarm) -> str:
    return "lasts" if alarm.state is AlarmState.OPEN else f"ended at {format_time(alarm.closed_s or 0.0)}"


def _probability(alarm: Alarm) -> str:
    return "no probability" if alarm.worst_probability is None else f"probability up to {alarm.worst_probability:.2f}"
