"""/v1/files: what is submitted, what became of it; the bulk queue by HTTP."""

from __future__ import annotations

import hashlib
import mimetypes
import os
import stat
import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Response, UploadFile
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from redis.exceptions import OutOfMemoryError

from dfd_core.models.store import sha256_of
from dfd_core.names import one_line, utf8
from dfd_core.queue.submitted import BulkFile, BulkState, Entry
from dfd_core.types import State
from workers.serve.parts import OPERATE, READ, SUBMIT, Given, Parts
from workers.serve.problems import refusal
from workers.serve.schemas import FileOut, FilesOut

router = APIRouter(tags=["files"])

Id = Annotated[str, InPath(pattern="^[0-9a-f]{64}$", description="As POST /v1/files gave it.")]
_LONGEST_NAME = 300
_CONTENT: dict[int | str, Any] = {200: {"content": {"video/*": {"schema": {}}, "image/*": {"schema": {}}}}}


@router.post("/v1/files", status_code=202, dependencies=SUBMIT)
def submit(
    parts: Given,
    file: Annotated[UploadFile | None, "A video or a picture."] = None,
    path: Annotated[str | None, Form(description="Or where it is, below one of bulk.roots.")] = None,
) -> FileOut:
    """Submit a file to be scored: an upload, or a path below one of `bulk.roots`."""
    if (file is None) == (path is None):
        raise refusal(422, "Give a file or a path, one of them.")
    wanted = _uploaded(parts, file) if file is not None else _placed(parts, path or "")
    return file_out(parts.bulk.entries_of([wanted])[0])


@router.get("/v1/files", dependencies=READ)
def find(
    parts: Given,
    state: Annotated[BulkState | None, Query(description="Where it is on its way.")] = None,
    label: Annotated[State | None, Query(description="What was found.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> FilesOut:
    """The submitted files, newest first, without their reports."""
    files = parts.bulk.files()[::-1]
    if state is None and label is None:
        found, total = parts.bulk.entries_of(files[offset : offset + limit]), len(files)
    else:
        entries = [entry for entry in parts.bulk.entries_of(files) if _matches(entry, state, label)]
        found, total = entries[offset : offset + limit], len(entries)
    return FilesOut(files=[file_out(entry, brief=True) for entry in found], total=total, offset=offset)


@router.get("/v1/files/{id}", dependencies=READ)
def get(parts: Given, id: Id) -> FileOut:
    """One file, with its report once it is done."""
    return file_out(_entry(parts, id))


@router.get("/v1/files/{id}/content", dependencies=READ, response_class=FileResponse, responses=_CONTENT)
def content(parts: Given, id: Id) -> FileResponse:
    """The video or picture itself, by ranges too, where it was submitted by its path; uploads are not kept."""
    path = content_path(parts, _entry(parts, id).file)
    if path is None:
        raise refusal(
            404, "The file is not here: uploads are not kept, and others must lie below bulk.roots, unchanged."
        )
    return FileResponse(path, media_type=kind_of(path))


@router.delete("/v1/files/{id}", status_code=204, dependencies=OPERATE)
def delete(parts: Given, id: Id) -> Response:
    """Forget a file and its report; one that is being scored stops at its next frame."""
    parts.bulk.forget(_entry(parts, id).file)
    return Response(status_code=204)


def content_path(parts: Parts, file: BulkFile) -> Path | None:
    """Where a submitted video or picture lies, if it is below `bulk.roots` and as large as it was."""
    roots = _roots(parts) if file.place else []
    path = next((found for found in (_below(root, file.place) for root in roots) if found is not None), None)
    same = path is not None and kind_of(path).startswith(("video/", "image/")) and path.stat().st_size == file.size
    return path if same else None


def kind_of(path: Path) -> str:
    """As browsers call it, by its name; empty where that tells nothing."""
    return mimetypes.guess_type(path.name)[0] or ""


def file_out(entry: Entry, *, brief: bool = False) -> FileOut:
    """A file as the API tells it."""
    file, report, progress = entry.file, entry.report, entry.progress
    return FileOut(
        id=file.key,
        name=utf8(file.path),
        state=entry.state,
        submitted_at_s=file.submitted_at_s,
        size=file.size,
        sha256=file.digest,
        model=file.model,
        reason=None if entry.reason is None else utf8(entry.reason),
        progress_s=None if progress is None else progress.time_s,
        duration_s=None if progress is None else progress.duration_s,
        label=None if report is None else report.get("state"),
        fake_probability=None if report is None else report.get("fake_probability"),
        report=None if brief or report is None else {**report, "file": utf8(str(report.get("file", "")))},
    )


def shown_name(name: str | None) -> str:
    """What an uploaded file is called: the last part of what the client says, on one line."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    return utf8(one_line(last))[-_LONGEST_NAME:] or "upload"


def _entry(parts: Parts, name: str) -> Entry:
    file = parts.bulk.file(name)
    if file is None:
        raise refusal(404, "No file of that id was submitted, or it was deleted.")
    return parts.bulk.entries_of([file])[0]


def _matches(entry: Entry, state: BulkState | None, label: State | None) -> bool:
    found = None if entry.report is None else entry.report.get("state")
    return state in (None, entry.state) and label in (None, found)


def _uploaded(parts: Parts, upload: UploadFile) -> BulkFile:
    return submit_content(parts, upload.filename, upload.file.read(parts.settings.bulk.upload_bytes + 1))


def submit_content(parts: Parts, filename: str | None, content: bytes) -> BulkFile:
    """Submit what was uploaded under a name; a refusal where it is empty, too large, or Redis is full."""
    limit = parts.settings.bulk.upload_bytes
    if len(content) > limit:
        raise refusal(413, f"More than {limit / 1e6:.0f} MB (bulk.upload_bytes): give a path below bulk.roots instead.")
    if not content:
        raise refusal(422, "The file is empty.")
    name = shown_name(filename)
    file = BulkFile(name, "", hashlib.sha256(content).hexdigest(), len(content), parts.model, time.time(), name)
    try:
        parts.bulk.submit_upload(file, lambda: content, parts.settings.bulk.upload_ttl_s)
    except OutOfMemoryError:
        raise refusal(503, "Redis has no room for this file: wait for the workers.", Retry_After="60") from None
    return file


def _placed(parts: Parts, text: str) -> BulkFile:
    roots = _roots(parts)
    if not roots:
        raise refusal(403, "Paths are taken below bulk.roots only, and none is set: upload the file.")
    for root in roots:
        real = _below(root, text)
        if real is not None:
            place = str(real.relative_to(root))
            file = BulkFile(text, place, sha256_of(real), real.stat().st_size, parts.model, time.time(), str(real))
            parts.bulk.submit([file])
            return file
    raise refusal(404, "There is no such file below bulk.roots.")


def _roots(parts: Parts) -> list[Path]:
    return [Path(root).expanduser().resolve() for root in parts.settings.bulk.roots.split(os.pathsep) if root]


def _below(root: Path, text: str) -> Path | None:
    """The regular file that `text` names, whatever links it takes, if it lies below `root` in the end."""
    try:
        real = Path(os.path.realpath(root / text))
        return real if real.is_relative_to(root) and stat.S_ISREG(os.stat(real).st_mode) else None
    except (OSError, ValueError):  # no such file, or a name that none can have
        return None
