"""Streams: a tile each, alarms on top."""

from __future__ import annotations

import time

from fastapi import Request
from nicegui import ui

from dfd_core.names import format_time
from dfd_core.queue.alarms import Alarm
from dfd_core.types import State
from workers.serve.console.alarms import alarm_line
from workers.serve.console.pictures import beep, crops, curve, jpeg_source
from workers.serve.console.shell import MARKS, Console, frame
from workers.serve.console.wall import SPAN_S, Sight
from workers.serve.health import model_out
from workers.serve.schemas import StreamOut

Limits = tuple[float, float]


def page(console: Console, request: Request) -> None:
    """The page."""
    with frame(console, request, "Streams", "Streams") as visitor:
        if visitor is not None:
            Board(console)


class Board:
    """What changes each second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        model = model_out(console.parts)
        self._limits = model.enter, model.exit
        self._error = ui.label().classes("error").props("role=status")
        with ui.element("div").props('role=alert aria-label="Alarms"'):
            self._alarms = ui.column().classes("w-full gap-0")
        self._sound = ui.audio(beep(), controls=False)
        self._loud = ui.checkbox("Sound when an alarm begins", value=True)
        self._empty = ui.label("No stream yet: dfd ingest, or dfd watch, brings some.")
        self._wall = ui.element("div").classes("wall")
        self._tiles: dict[str, Tile] = {}
        self._shown: list[Alarm] | None = None
        self._rung: set[str] | None = None
        self._sight: Sight | None = None
        self.refresh()
        ui.timer(0.25, self.refresh)

    def refresh(self) -> None:
        """Show the newest sight, where it is new."""
        sight = self._console.wall.asked()
        if sight is self._sight:
            return
        self._sight = sight
        self._error.set_text(f"{sight.error} What is shown is of before." if sight.error else "")
        self._error.set_visibility(bool(sight.error))
        self._ring(sight)
        names = [stream.name for stream in sight.streams]
        self._empty.set_visibility(not names)
        for gone in self._tiles.keys() - set(names):
            self._tiles.pop(gone).card.delete()
        for stream in sight.streams:
            if stream.name not in self._tiles:
                with self._wall:
                    self._tiles[stream.name] = Tile(stream.name)
            self._tiles[stream.name].show(stream, sight, self._limits)

    def _ring(self, sight: Sight) -> None:
        if sight.open_alarms != self._shown:
            self._shown = sight.open_alarms
            self._alarms.clear()
            with self._alarms:
                for alarm in sight.open_alarms:
                    alarm_line(alarm)
        names = {alarm.id for alarm in sight.open_alarms}
        if self._rung is not None and names - self._rung and self._loud.value:
            ui.run_javascript(f"getHtmlElement({self._sound.id}).play().catch(() => 0)")  # browsers may forbid it
        if sight.at_s:
            self._rung = names


class Tile:
    """One stream; its parts stay, so that who goes through them by keyboard is not thrown back."""

    def __init__(self, name: str) -> None:
        self.card = ui.element("section").classes("tile").props(f'aria-label="Stream {name}"')
        self._state, self._sources = State.UNKNOWN, dict[int, str]()
        with self.card:
            with ui.element("div").classes("row"):
                ui.label(name).style("font-weight:600;font-size:1.1rem")
                self._badge = ui.label().classes("badge")
            self._text = ui.label()
            self._scene = ui.element("img").props(f'alt="What {name} sees"').classes("scene")
            self._crops = ui.element("div").classes("crops")
            self._curve = ui.html("", sanitize=False)
            self._numbers = ui.label().classes("faint")

    def show(self, stream: StreamOut, sight: Sight, limits: Limits) -> None:
        """Bring it up to date."""
        for part in (self.card, self._badge):
            part.classes(remove=self._state.value, add=stream.state.value)
        self._state = stream.state
        self._badge.set_text(f"{MARKS[stream.state]} {stream.state.value}")
        since = (
            "" if stream.since_s is None else f"; {stream.state.value} since {format_time(stream.since_s)} of its time"
        )
        self._text.set_text(f"{stream.doing}{since}" + (f": {stream.error}" if stream.error else ""))
        scene = sight.scenes.get(stream.name)
        self._scene.set_visibility(scene is not None)
        if scene is not None:
            self._scene.props(f'src="{jpeg_source(scene)}"')
        self._show_crops(stream, sight)
        now_s = time.time()
        lines = {f"face {track}": points for track, points in sight.curves.get(stream.name, {}).items()}
        newest = {name: f"{points[-1][1]:.2f}" for name, points in lines.items() if points}
        told = ", ".join(f"{name} {value}" for name, value in sorted(newest.items())) or "none"
        label = f"Probability of fake over the last two minutes; newest: {told}; alarm from {limits[0]:.2f}"
        self._curve.set_content(curve(lines, (now_s - SPAN_S, now_s), limits, label))
        latency = "" if stream.latency_s is None else f", {stream.latency_s:.1f} s from picture to verdict"
        waiting = (
            f", {stream.waiting} {'window waits' if stream.waiting == 1 else 'windows wait'}" if stream.waiting else ""
        )
        probability = (
            "no face judged" if stream.fake_probability is None else f"probability {stream.fake_probability:.2f}"
        )
        self._numbers.set_text(f"{probability}, {stream.fps:.1f} frames a second{latency}{waiting}")

    def _show_crops(self, stream: StreamOut, sight: Sight) -> None:
        segment = sight.segments.get(stream.name)
        sources = {} if segment is None else crops(segment)
        if sources == self._sources:
            return
        self._sources = sources
        states = {face.track: face.state for face in stream.faces}
        self._crops.clear()
        with self._crops:
            for track, source in sources.items():
                state = states.get(track, State.UNKNOWN)
                with ui.element("figure"):
                    words = f"face {track}: {state.value}"
                    ui.element("img").props(f'src="{source}" alt="{words}"').classes(f"crop {state.value}")
                    with ui.element("figcaption"):
                        ui.label(f"{MARKS[state]} {words}")
