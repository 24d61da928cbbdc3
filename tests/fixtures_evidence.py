"""A collector of evidence on a real server and a real folder, and what ingest, a worker and the keeper do for it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from dfd_core.models.activation import ActivationMap
from dfd_core.models.store import read_card
from dfd_core.models.texture_map import TextureMap
from dfd_core.queue import arrays, keys
from dfd_core.queue.alarms import Alarm, AlarmBook
from dfd_core.queue.broker import settle
from dfd_core.sections import EvidenceSettings
from dfd_core.settings import Settings
from dfd_core.types import FaceTrack, Segment, WindowEvent
from tests.test_alarms import alarm
from workers.evidence.collector import Collector
from workers.evidence.facts import Facts
from workers.evidence.metrics import EvidenceMetrics
from workers.evidence.places import open_shelf

FACE = 3  # the track of `window`


def segment(seq: int, stream: str = "cam", side: int = 40) -> Segment:
    crops = np.random.default_rng(seq).integers(0, 256, (4, side, side, 3), np.uint8)
    boxes, landmarks = np.full((4, 4), 9, np.float32), np.full((4, 6, 2), 9, np.float32)
    boxes[1], crops[1] = np.nan, 0  # not seen in the second frame
    times_s = seq + np.arange(4) / 4
    return Segment(stream, seq, times_s, time.time(), (FaceTrack(FACE, boxes, landmarks, crops, side),), True)


def score(client, *events: WindowEvent) -> None:
    """What ingest and a worker do to Redis, one window after the other."""
    for event in events:
        seq = event.result.seq
        client.set(keys.segment_key(event.stream, event.run, seq), arrays.pack_segment(segment(seq, event.stream)))
        client.zadd(keys.pending_key(event.stream), {f"{event.run}:{seq}:9": 1})
        with client.pipeline() as pipe:
            settle(pipe, f"{event.run}:{seq}:9", event)
            assert pipe.execute() == [1]


class Shop:
    """A collector on a real server and a real folder, and the hands of its clock."""

    def __init__(self, client, folder: Path | str, model: Path, texture: TextureMap | None = None, **values) -> None:
        settings = Settings().with_values({"model.path": str(model)})
        self.evidence = EvidenceSettings(folder=str(folder), **values)
        self.client, self.folder, self.now_s = client, folder, 0.0
        self.registry = CollectorRegistry()
        self.collector = Collector(
            client,
            self.evidence,
            shelf=open_shelf(self.evidence),
            facts=Facts(settings),
            metrics=EvidenceMetrics(self.registry),
            network=ActivationMap(model / "model.tflite", read_card(model).input),
            texture=texture,
            clock=lambda: self.now_s,
        )

    def turn(self, later_s: float = 0.0) -> None:
        self.now_s += later_s
        self.collector.turn()

    def tell(self, found: Alarm, *events: WindowEvent) -> None:
        """Score windows, and have the keeper note them."""
        score(self.client, *events)
        AlarmBook(self.client).see(found.id, [each for event in events for each in event.result.scores])

    def lost(self, reason: str) -> float:
        return self.registry.get_sample_value("dfd_evidence_lost_total", {"reason": reason}) or 0.0


@pytest.fixture
def shop(redis_client, tmp_path, tiny_model):
    return Shop(redis_client, tmp_path / "evidence", tiny_model, windows=2)


def opened(client, number: int = 1, track: int = FACE) -> Alarm:
    found = alarm(number, track=track, opened_at_s=time.time())
    AlarmBook(client).open(found)
    return found


def crops_of(bundle: Path) -> set[int]:
    return {int(path.name.partition("-")[0]) for path in bundle.glob("crops/*")}
