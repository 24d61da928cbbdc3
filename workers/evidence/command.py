"""`dfd evidence`: one process beside the monitor that keeps a bundle of each alarm."""

from __future__ import annotations

import argparse
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from prometheus_client import CollectorRegistry

from dfd_core.errors import ModelError, SettingsError
from dfd_core.models.activation import ActivationMap
from dfd_core.models.store import LITERT_FILE, TEXTURE_LITERT_FILE, ModelCard, model_folder, verified_file
from dfd_core.models.texture_map import TextureMap
from dfd_core.process.backoff import Backoff
from dfd_core.process.logs import start_logging
from dfd_core.process.metrics_server import serve_metrics
from dfd_core.process.priority import let_others_first
from dfd_core.process.signals import stop_on_signals
from dfd_core.queue.broker import REDIS_AWAY, connect, redact_redis, trouble
from dfd_core.settings import Settings
from workers.evidence.collector import LOOK_S, Collector
from workers.evidence.facts import Facts
from workers.evidence.metrics import EvidenceMetrics
from workers.evidence.places import open_shelf

EXAMPLES = """examples:
  dfd evidence --redis redis://host:6379/0 --set evidence.folder=/var/lib/dfd/evidence
  dfd evidence verify /var/lib/dfd/evidence        # whether all files are as they were written"""

_NICENESS = 10  # live windows go first
_LONGEST_PAUSE_S = 10.0

Made = TypeVar("Made")

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has settings only, those of [evidence]."""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Keep evidence until SIGINT or SIGTERM."""
    if not settings.evidence.folder:
        raise SettingsError("No folder for evidence is named: set evidence.folder, as in --set evidence.folder=DIR.")
    start_logging(settings.log)
    let_others_first(_NICENESS)
    shelf, facts = open_shelf(settings.evidence), Facts(settings)
    registry = CollectorRegistry()
    metrics = EvidenceMetrics(registry)
    client = connect(settings.redis)
    network, texture = _networks(settings, facts.card)
    collector = Collector(
        client, settings.evidence, shelf=shelf, facts=facts, metrics=metrics, network=network, texture=texture
    )
    port = serve_metrics(registry, settings.metrics.host, settings.metrics.evidence_port, settings.metrics.token_file)
    said = "" if port is None else f", metrics at http://{settings.metrics.host}:{port}/metrics"
    print(f"evidence in {settings.evidence.folder}{said}", flush=True)
    with stop_on_signals() as stop:
        collect(collector, stop, redact_redis(settings.redis.url))
    client.close()
    return 0


def collect(collector: Collector, stop: threading.Event, redis: str) -> None:
    """Look until `stop` is set; a Redis that is lost is waited for."""
    pauses = Backoff(LOOK_S, _LONGEST_PAUSE_S)
    pause_s, away = 0.0, False
    while not stop.wait(pause_s):
        try:
            collector.turn()
        except REDIS_AWAY as error:
            if not away:
                log.warning("Redis at %s %s; trying again until it does.", redis, trouble(error))
            pause_s, away = pauses.next_s(), True
            continue
        pause_s, away = LOOK_S, False
        pauses.reset()
    with suppress(*REDIS_AWAY):
        collector.turn(last=True)


def _networks(settings: Settings, card: ModelCard) -> tuple[ActivationMap | None, TextureMap | None]:
    """What draws the maps of appearance and texture; None, with a line why, where the model has none."""
    folder = model_folder(settings.model.path)
    return (
        _opened(lambda: ActivationMap(verified_file(folder, card, LITERT_FILE), card.input)),
        _opened(lambda: TextureMap(verified_file(folder, card, TEXTURE_LITERT_FILE), card.input))
        if TEXTURE_LITERT_FILE in card.files
        else None,
    )


def _opened(make: Callable[[], Made]) -> Made | None:
    try:
        return make()
    except ModelError as error:
        log.warning("Evidence goes without one of its maps. %s", error)
        return None
