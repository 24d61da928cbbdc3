"""/v1/score: one picture or short clip, answered at once."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from fastapi import APIRouter, UploadFile

from dfd_core.media import MEDIA_SUFFIXES
from workers.serve.files import shown_name
from workers.serve.parts import SUBMIT, Given
from workers.serve.pool import Busy
from workers.serve.problems import refusal

router = APIRouter(tags=["files"])


@router.post("/v1/score", dependencies=SUBMIT)
def score(parts: Given, file: UploadFile) -> dict[str, Any]:
    """The report of a picture, or of the first seconds of a clip (`serve.score_seconds`), as `dfd scan --json` has it.

    A file that cannot be read, or has no face, has a report too, with the reason; it is kept nowhere.
    """
    name = shown_name(file.filename)
    suffix = Path(name).suffix.lower()
    with tempfile.NamedTemporaryFile(prefix="dfd-score-", suffix=suffix if suffix in MEDIA_SUFFIXES else "") as copy:
        shutil.copyfileobj(file.file, copy)
        copy.flush()
        try:
            return parts.pool.score(copy.name, name).to_dict()
        except Busy as busy:
            raise refusal(503, str(busy), Retry_After="10") from None
