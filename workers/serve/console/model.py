"""Model: what scores, from which probability on it accuses, what was measured, what it cannot see."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request
from nicegui import ui

from workers.serve.console.alarms import facts
from workers.serve.console.shell import Console, frame, heading
from workers.serve.health import model_out

_GROUP = ("reals", "fakes", "auc", "recall", "accused_reals")


def page(console: Console, request: Request) -> None:
    """The page."""
    with frame(console, request, "Model", "Model") as visitor:
        if visitor is None:
            return
        model = model_out(console.parts)
        heading("What it cannot see", 2)
        with ui.element("ul").style("list-style: disc; padding-left: 1.25rem"):
            for limit in model.limits:
                with ui.element("li"):
                    ui.label(limit)
        heading("What scores", 2)
        card = model.card
        facts(
            {
                "name": model.name,
                "runs on": model.runtime or "nothing yet: no worker has started",
                "an alarm begins at": f"probability {model.enter:.3f}",
                "and ends below": f"{model.exit:.3f}",
                "licence": str(card.get("licence") or "not given"),
                "made from": str(card.get("commit") or "not given"),
            }
        )
        heading("What was measured", 2)
        figures = card.get("figures") or {}
        if not figures:
            ui.label("Its card has no figures.")
        plain = {name: value for name, value in figures.items() if isinstance(value, int | float | str)}
        facts({name.replace("_", " "): _number(value) for name, value in plain.items()})
        _groups(figures.get("groups") or {})
        for name, values in figures.items():
            if values and name not in plain and name != "groups":
                _more(str(name), values)
        heading("Files, with their SHA-256", 2)
        facts({str(name): str(digest) for name, digest in card["files"].items()})


def _groups(groups: dict[str, Any]) -> None:
    """Figures by what the files have in common; AUC against the real files of the same group."""
    rows = []
    for kind, members in groups.items():
        for name, told in members.items():
            own = told.get("against_own_reals") or told
            figures = {key: _number(own[key]) if own.get(key) is not None else "" for key in _GROUP}
            rows.append({"id": f"{kind}/{name}", "group": f"{kind}: {name}", **figures})
    if rows:
        heading("By group", 2)
        columns = [
            {"name": key, "label": key, "field": key, "sortable": True, "align": "left"} for key in ("group", *_GROUP)
        ]
        ui.table(columns=columns, rows=rows, row_key="id", pagination=15).classes("w-full")


def _more(name: str, values: Any) -> None:
    with (
        ui.expansion(name.replace("_", " ")).classes("w-full"),
        ui.element("pre").classes("scroll").props("tabindex=0"),
    ):
        ui.label(json.dumps(values, indent=1, ensure_ascii=False)).style("white-space: pre")


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
