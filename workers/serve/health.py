"""/healthz, /readyz, /metrics, /v1/model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from dfd_core.models.store import ModelCard, model_folder, model_name, read_card
from dfd_core.queue import keys, records
from dfd_core.settings import Settings
from dfd_core.types import ModelInfo
from workers.serve.parts import READ, Given, Parts
from workers.serve.schemas import ModelOut

router = APIRouter(tags=["service"])

LIMITS = [
    "It is no basis for accusing anybody: it misses many fakes, and accuses real people now and then.",
    "Most fakes of methods that it has not seen stay below the threshold: authentic means that nothing was found.",
    "It looks at faces only: not at voices, texts or scenes, and not at faces narrower than 48 pixels.",
    "Strong compression, blur, darkness and heavy make-up take away what it looks for.",
]


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """This process answers."""
    return {"status": "alive"}


@router.get("/readyz")
def readyz(parts: Given) -> dict[str, str]:
    """Redis answers too; else 503."""
    parts.redis.ping()
    return {"status": "ready"}


@router.get("/metrics", dependencies=READ, response_class=Response)
def metrics(parts: Given) -> Response:
    """What this server counts, for Prometheus; the monitor has its own."""
    return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/model", dependencies=READ)
def model(parts: Given) -> ModelOut:
    """What scores, its thresholds, its card, and what it cannot see."""
    return model_out(parts)


def model_out(parts: Parts) -> ModelOut:
    """What the workers score with, or, before one is at work, what this server would."""
    card, running = own_card(parts.settings), _running(parts)
    shown: dict[str, Any] = {key: value for key, value in asdict(card).items() if key != "fusion"}
    name, runtime = (model_name(card), None) if running is None else (running.name, running.runtime)
    thresholds = card.thresholds if running is None else running
    return ModelOut(name=name, runtime=runtime, enter=thresholds.enter, exit=thresholds.exit, limits=LIMITS, card=shown)


def own_card(settings: Settings) -> ModelCard:
    """The card of the model that the settings name."""
    return read_card(model_folder(settings.model.path))


def _running(parts: Parts) -> ModelInfo | None:
    text: Any = parts.redis.get(keys.MODEL_KEY)
    return records.parse_model(text) if text else None
