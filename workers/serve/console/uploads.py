"""Files: drop some, see how far they are, sort them, look at one, take the table away."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from fastapi import HTTPException, Request
from nicegui import events, run, ui
from redis.exceptions import RedisError

from dfd_core.media import MEDIA_SUFFIXES
from dfd_core.names import format_time, utf8
from dfd_core.queue.submitted import BulkFile, Entry
from dfd_core.types import State
from workers.serve.console.alarms import facts
from workers.serve.console.pictures import curve
from workers.serve.console.shell import Console, Visitor, badge, frame
from workers.serve.files import content_path, file_out, kind_of, submit_content
from workers.serve.problems import AWAY
from workers.serve.tokens import Role

LIMIT = 1000
# The film moves a mark over its curve, and a click on the curve moves the film.
_FOLLOW = """
const film = getHtmlElement(FILM), mark = getHtmlElement(MARK), box = mark.parentElement;
mark.style.display = "block";
film.addEventListener("timeupdate", () => { mark.style.left = Math.min(100, 100 * film.currentTime / SPAN) + "%"; });
box.addEventListener("click", event => {
  const place = box.getBoundingClientRect();
  film.currentTime = SPAN * (event.clientX - place.left) / place.width;
});"""
# A folder that is dropped is looked through, and its videos and pictures are taken.
_FOLDERS = """
const drop = getHtmlElement(DROP), ends = ENDINGS;
getHtmlElement(FOLDER).querySelector("input[type=file]").webkitdirectory = true;
const many = async reader => {
  const some = await new Promise((yes, no) => reader.readEntries(yes, no));
  return some.length ? [...some, ...await many(reader)] : [];
};
const files = async entry => entry.isFile
  ? [await new Promise((yes, no) => entry.file(yes, no))]
  : (await Promise.all((await many(entry.createReader())).map(files))).flat();
drop.addEventListener("drop", async event => {
  const entries = [...event.dataTransfer.items].map(item => item.webkitGetAsEntry()).filter(entry => entry);
  if (!entries.some(entry => entry.isDirectory)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  drop.querySelector(".q-uploader__dnd")?.dispatchEvent(new Event("dragleave"));
  const found = (await Promise.all(entries.map(files))).flat();
  getElement(DROP).$refs.qRef.addFiles(found.filter(file => ends.some(end => file.name.toLowerCase().endsWith(end))));
}, true);"""
_COLUMNS = ("name", "state", "label", "probability", "length", "reason")
_CLASSES = {"name": "long", "reason": "long"}


def page(console: Console, request: Request) -> None:
    """The page."""
    with frame(console, request, "Files", "Files") as visitor:
        if visitor is None:
            return
        _uploader(console, visitor)
        columns = [
            {
                "name": name,
                "label": name,
                "field": name,
                "sortable": True,
                "align": "left",
                "classes": _CLASSES.get(name),
            }
            for name in _COLUMNS
        ]
        table = ui.table(columns=columns, rows=[], row_key="id", pagination=25).classes("w-full gap")
        table.props('aria-label="Submitted files"')
        table.add_slot(
            "body-cell-name", '<q-td :props="props"><a :href="`/file/${props.row.id}`">{{ props.row.name }}</a></q-td>'
        )

        async def refresh() -> None:
            try:
                rows = await run.io_bound(_rows, console)
            except RedisError:
                return  # what is shown is of before
            if rows is not None and rows != table.rows:
                table.rows = rows

        export = ui.button("Export as CSV").props("no-caps")
        export.on_click(lambda: ui.download.content(_csv(table.rows), "dfd-files.csv", "text/csv"))
        ui.timer(0.1, refresh, once=True)
        ui.timer(2.0, refresh)


def one(console: Console, request: Request, name: str) -> None:
    """What was found in one file."""
    with frame(console, request, "Files", "File") as visitor:
        if visitor is None:
            return
        file = console.parts.bulk.file(name)
        if file is None:
            ui.label("No file of that id was submitted, or it was deleted.")
            return
        entry = console.parts.bulk.entries_of([file])[0]
        shown, report = file_out(entry), entry.report or {}
        facts({"name": shown.name, "SHA-256": shown.sha256, "size": f"{shown.size:,} bytes", "model": shown.model})
        if shown.label is not None:
            badge(shown.label)
        ui.label(_found(entry))
        points = [(float(at), float(p)) for at, p in report.get("timeline", [])]
        film = _film(console, file)
        if points:
            limits = tuple(report["thresholds"])
            label = "The highest probability of a face, over the file's time"
            with ui.element("div").classes("film"):
                ui.html(curve({label: points}, (0.0, points[-1][0]), (limits[0], limits[1]), label), sanitize=False)
                mark = ui.element("div").classes("mark")
            if film is not None:
                words = _FOLLOW.replace("FILM", str(film.id)).replace("MARK", str(mark.id))
                ui.timer(0.1, lambda: ui.run_javascript(words.replace("SPAN", str(points[-1][0]))), once=True)
            ui.label(f"from 00:00 to {format_time(points[-1][0])}; red: an alarm begins").classes("faint")
        ui.link("The whole report (JSON)", f"/v1/files/{name}")


def _film(console: Console, file: BulkFile) -> ui.element | None:
    """The video above its curve, where this server can see it; pictures too."""
    path = content_path(console.parts, file)
    if path is None:
        ui.label("The film itself is not shown: uploads are not kept, and others must lie below bulk.roots.").classes(
            "faint"
        )
        return None
    source = f'src="/v1/files/{file.key}/content"'
    if kind_of(path).startswith("image/"):
        ui.element("img").props(f'{source} alt="The picture"').classes("evidence")
        return None
    return ui.element("video").props(f'{source} controls preload=metadata aria-label="The film"').classes("evidence")


def _found(entry: Entry) -> str:
    report = entry.report
    if report is None:
        return f"It is {entry.state.value}." + (f" {utf8(entry.reason)}" if entry.reason else "")
    probability = report.get("fake_probability")
    told = "no probability" if probability is None else f"probability {probability:.2f}"
    return f"{report.get('verdict', '')}; {told}" + (f". {utf8(report['reason'])}" if report.get("reason") else "")


def _uploader(console: Console, visitor: Visitor) -> None:
    limit = min(console.parts.settings.bulk.upload_bytes, console.parts.settings.serve.body_bytes)

    async def take(event: events.UploadEventArguments) -> None:
        if visitor.refused(Role.SUBMIT):
            return
        content = await event.file.read()
        try:
            await run.io_bound(submit_content, console.parts, event.file.name, content)
        except RedisError:
            ui.notify(f"{event.file.name}: {AWAY}", type="negative")
        except HTTPException as refusal:
            ui.notify(f"{event.file.name}: {refusal.detail}", type="negative")
        else:
            ui.notify(f"{event.file.name} waits for its turn.")

    upload = ui.upload(label="Drop videos, pictures or folders here", multiple=True, auto_upload=True, on_upload=take)
    upload.props(f"max-file-size={limit} bordered flat").classes("w-full")
    upload.on(
        "rejected", lambda: ui.notify(f"Larger than {limit / 1e6:.0f} MB: submit its path instead.", type="negative")
    )
    folder = ui.upload(label="Or choose a whole folder", multiple=True, auto_upload=True, on_upload=take)
    endings = sorted(MEDIA_SUFFIXES)
    folder.props(f'max-file-size={limit} accept="{",".join(endings)}" bordered flat').classes("w-full gap")
    folder.on("rejected", lambda: ui.notify("What is no video or picture, or too large, was left out."))
    words = _FOLDERS.replace("DROP", str(upload.id)).replace("FOLDER", str(folder.id))
    ui.timer(0.1, lambda: ui.run_javascript(words.replace("ENDINGS", json.dumps(endings))), once=True)


def _rows(console: Console) -> list[dict[str, Any]]:
    bulk = console.parts.bulk
    return [_row(entry) for entry in bulk.entries_of(bulk.files()[::-1][:LIMIT])]


def _row(entry: Entry) -> dict[str, Any]:
    file = file_out(entry, brief=True)
    progress = "" if file.progress_s is None else f" at {format_time(file.progress_s)}"
    if file.progress_s is not None and file.duration_s:
        progress = f" {100 * file.progress_s / file.duration_s:.0f} %"
    length = None if entry.report is None else entry.report.get("duration_s")
    reason = file.reason if entry.report is None else entry.report.get("reason")
    return {
        "id": file.id,
        "name": file.name,
        "state": f"{file.state.value}{progress}",
        "label": (State.UNKNOWN if file.label is None else file.label).value if entry.report else "",
        "probability": None if file.fake_probability is None else round(file.fake_probability, 3),
        "length": None if length is None else format_time(length),
        "reason": utf8(reason or ""),
    }


def _csv(rows: list[dict[str, Any]]) -> str:
    """The table; what a spreadsheet would take for a formula is quoted."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for row in rows:
        values = ["" if row[name] is None else str(row[name]) for name in _COLUMNS]
        writer.writerow([f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t") else value for value in values])
    return out.getvalue()
