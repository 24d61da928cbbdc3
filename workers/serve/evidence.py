"""/v1/alarms/{id}/evidence: the bundle of an alarm, where this server sees the folder that it lies in."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi import Path as InPath

from dfd_core.queue.alarms import Alarm
from workers.evidence.bundle import MANIFEST, Bundle
from workers.evidence.places import open_bundle
from workers.serve.alarms import Id, known
from workers.serve.parts import READ, Given, Parts
from workers.serve.problems import refusal
from workers.serve.schemas import EvidenceOut

router = APIRouter(tags=["alarms"])

_NONE = "No evidence of this alarm is here: dfd evidence keeps it in evidence.folder, which this server must see too."
_KINDS = {".json": "application/json", ".png": "image/png"}
_ZIP: dict[int | str, Any] = {200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}}
_FILE: dict[int | str, Any] = {200: {"content": {kind: {"schema": {}} for kind in (*_KINDS.values(), "text/plain")}}}


@router.get("/v1/alarms/{id}/evidence", dependencies=READ)
def evidence(parts: Given, id: Id) -> EvidenceOut:
    """The names of the files of an alarm's bundle, each with its SHA-256."""
    return EvidenceOut(files=bundle_of(parts, known(parts, id)).files)


@router.get("/v1/alarms/{id}/bundle", dependencies=READ, response_class=Response, responses=_ZIP)
def bundle(parts: Given, id: Id) -> Response:
    """The bundle as a ZIP, to be handed on and checked: `dfd evidence verify DIR`, or `sha256sum --check`."""
    found = bundle_of(parts, known(parts, id))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in (*found.files, MANIFEST):
            archive.writestr(f"{found.name}/{name}", _content(found, name))
    headers = {"Content-Disposition": f'attachment; filename="{found.name}.zip"'}
    return Response(packed.getvalue(), media_type="application/zip", headers=headers)


@router.get("/v1/alarms/{id}/evidence/{name:path}", dependencies=READ, response_class=Response, responses=_FILE)
def file(
    parts: Given, id: Id, name: Annotated[str, InPath(description="As GET /v1/alarms/{id}/evidence names it.")]
) -> Response:
    """One file of the bundle."""
    found = bundle_of(parts, known(parts, id))
    if name not in (*found.files, MANIFEST):
        raise refusal(404, "The bundle has no file of that name.")
    return Response(_content(found, name), media_type=_KINDS.get(Path(name).suffix, "text/plain"))


def bundle_of(parts: Parts, alarm: Alarm) -> Bundle:
    """The bundle of an alarm; 404 where there is none."""
    found = open_bundle(parts.settings.evidence.folder, alarm.id)
    if found is None:
        raise refusal(404, _NONE)
    return found


def _content(bundle: Bundle, name: str) -> bytes:
    try:
        return bundle.read(name)
    except OSError:
        raise refusal(404, _NONE) from None  # it made room for newer ones, or was written anew meanwhile
