"""The frame of every page: who may see it, the way to the others, looks, and what a verdict is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files

from fastapi import Request
from nicegui import ui

from dfd_core.types import State
from workers.serve.console.wall import Wall
from workers.serve.health import LIMITS
from workers.serve.parts import COOKIE, Parts
from workers.serve.tokens import Role

PAGES = {"Streams": "/", "Alarms": "/alarms", "Files": "/files", "Model": "/model"}
MARKS = {State.FAKE: "▲", State.SUSPECT: "◆", State.AUTHENTIC: "●", State.UNKNOWN: "○"}
STYLE = (files("workers.serve.console") / "style.css").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Console:
    """What pages stand on."""

    parts: Parts
    wall: Wall


class Visitor:
    """Who looks at a page, by the token that the browser showed when it was opened; asked anew at each act."""

    def __init__(self, parts: Parts, request: Request) -> None:
        self._parts, self._token = parts, request.cookies.get(COOKIE)

    def may(self, role: Role) -> bool:
        """Whether the token is good for that, now."""
        has = self._parts.tokens.role_of(self._token)
        return has is not None and has >= role

    def refused(self, role: Role) -> bool:
        """Whether it is not, which the page then says."""
        if self.may(role):
            return False
        ui.notify(f"This needs a token of the role {role.word}.", type="negative")
        return True


@contextmanager
def frame(console: Console, request: Request, here: str, title: str) -> Iterator[Visitor | None]:
    """A page under the navigation; None, and the way to show a token, for who may not read."""
    ui.add_css(STYLE)
    ui.page_title(f"{title} · dfd")
    ui.colors(primary="#0a5ca8")
    dark = ui.dark_mode(None)
    visitor = Visitor(console.parts, request)
    with ui.header().classes("bar"):
        ui.link("Skip to content", "#content").classes("skip")
        ui.label("dfd").classes("brand")
        with ui.element("nav").props('aria-label="Pages"'):
            for name, path in PAGES.items():
                ui.link(name, path).props('aria-current="page"' if name == here else "").classes("tab")
        ui.space()
        ui.button("Light or dark", on_click=lambda: _turn(dark)).props("flat dense no-caps color=inherit")
    with ui.element("main").props('id="content" tabindex="-1"').classes("content"):
        heading(title, 1)
        if visitor.may(Role.READ):
            yield visitor
            with ui.element("footer").classes("limits"):
                ui.label(f"{LIMITS[0]} {LIMITS[1]}")
                ui.link("What else it cannot see, its thresholds, and what was measured", "/model")
        else:
            ui.label("Show a token of the role read, submit or operate to see this.")
            ui.link("Show a token", "/login")
            yield None


async def _turn(dark: ui.dark_mode) -> None:
    """To the other looks than those that the page has, which at first are the system's."""
    dark.set_value(not await ui.run_javascript("document.body.classList.contains('body--dark')"))


def heading(text: str, level: int) -> ui.element:
    """A heading that screen readers know as one."""
    made = ui.element(f"h{level}")
    with made:
        ui.label(text)
    return made


def badge(state: State) -> ui.label:
    """A state as mark, word and border."""
    return ui.label(f"{MARKS[state]} {state.value}").classes(f"badge {state.value}")
