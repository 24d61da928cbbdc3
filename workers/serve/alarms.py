"""/v1/alarms: what was thought fake, and what people say that it was."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi import Path as InPath
from pydantic import BaseModel, Field

from dfd_core.queue.alarms import Alarm, AlarmState, Review
from workers.serve.parts import OPERATE, READ, Given, Parts
from workers.serve.problems import refusal
from workers.serve.schemas import AlarmDetail, AlarmOut, AlarmsOut, WindowOut

router = APIRouter(tags=["alarms"])

Id = Annotated[str, InPath(pattern="^[0-9a-f]{24}$")]
_GONE = "No alarm of that id is known, or no longer: the newest 2000 are kept."


class Judgement(BaseModel):
    """What a person says of an alarm; what is left out stays as it was."""

    review: Review | None = None
    note: Annotated[str, Field(max_length=2000)] | None = None


@router.get("/v1/alarms", dependencies=READ)
def find(  # noqa: PLR0917  each is a parameter of the query
    parts: Given,
    stream: Annotated[str | None, Query(description="Of this stream only.")] = None,
    state: AlarmState | None = None,
    review: Review | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**6)] = 0,
) -> AlarmsOut:
    """The alarms, newest first."""
    found = parts.alarms.find(stream=stream, state=state, review=review, limit=limit, offset=offset)
    return AlarmsOut(alarms=[AlarmOut.model_validate(alarm) for alarm in found], offset=offset)


@router.get("/v1/alarms/{id}", dependencies=READ)
def get(parts: Given, id: Id) -> AlarmDetail:
    """One alarm, and what each window said of its face."""
    alarm = known(parts, id)
    windows = [WindowOut.model_validate(window) for window in parts.alarms.windows(id)]
    return AlarmDetail(**AlarmOut.model_validate(alarm).model_dump(), windows=windows)


def known(parts: Parts, id: str) -> Alarm:
    """The alarm of that id; 404 where there is none."""
    alarm = parts.alarms.get(id)
    if alarm is None:
        raise refusal(404, _GONE)
    return alarm


@router.patch("/v1/alarms/{id}", dependencies=OPERATE)
def review(parts: Given, id: Id, judgement: Judgement) -> AlarmOut:
    """Say whether it was right, and why; `dfd calibrate --false-alarms` learns from the false ones."""
    alarm = parts.alarms.review(id, judgement.review, judgement.note)
    if alarm is None:
        raise refusal(404, _GONE)
    return AlarmOut.model_validate(alarm)
