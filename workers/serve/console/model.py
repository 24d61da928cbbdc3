"""Model: what scores, from which probability on it accuses, what was measured, what it cannot see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fastapi import Request
from nicegui import ui

from workers.serve.console.alarms import facts
from workers.serve.console.shell import Console, frame, heading
from workers.serve.console.words import cells, column_of, heading_of, is_plain, plain, table_of, words_of
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
        facts(plain(figures))
        _groups(figures.get("groups") or {})
        for name, values in figures.items():
            if name != "groups" and _says_more(values):
                with ui.expansion(heading_of(name)).classes("w-full"):
                    _more(values)
        heading("Files, with their SHA-256", 2)
        facts({str(name): str(digest) for name, digest in card["files"].items()})


def _groups(groups: dict[str, Any]) -> None:
    """Figures by what the files have in common; AUC against the real files of the same group."""
    rows = []
    for kind, members in groups.items():
        for name, told in members.items():
            own = told.get("against_own_reals") or told
            figures = cells({key: own.get(key) for key in _GROUP})
            rows.append({"id": f"{kind}/{name}", "group": f"{words_of(kind)}: {name}"} | figures)
    if rows:
        heading("By group", 2)
        _table(("group", *_GROUP), rows)


def _says_more(values: Any) -> bool:
    """Whether a figure is more than a line, and not empty all through."""
    if isinstance(values, dict):
        return any(is_plain(value) or _says_more(value) for value in values.values())
    return bool(values) and not is_plain(values)


def _more(values: Any) -> None:
    """Figures within figures: lines, and tables of those that have the same parts."""
    if not isinstance(values, dict):
        ui.label(json.dumps(values, ensure_ascii=False))
        return
    facts(plain(values))
    for name, inner in values.items():
        if _says_more(inner):
            heading(heading_of(name), 3)
            rows = table_of(name, inner)
            if rows:
                _table(tuple(dict.fromkeys(key for row in rows for key in row if key != "id")), rows)
            else:
                _more(inner)


def _table(keys: Sequence[str], rows: list[dict[str, Any]]) -> None:
    """Rows with an `id`; a column a key, which sorts."""
    columns = [{"name": key, "label": column_of(key), "field": key, "sortable": True, "align": "left"} for key in keys]
    ui.table(columns=columns, rows=rows, row_key="id", pagination=15).classes("w-full").props("wrap-cells")
