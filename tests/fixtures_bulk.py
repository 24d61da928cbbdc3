"""The bulk queue by its commands, on a real server, with a worker in the test's own process."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from prometheus_client import CollectorRegistry

from dfd_core.cli.main import main
from dfd_core.judging.scoring import load_scorer
from dfd_core.queue.bulk import BulkQueue
from dfd_core.settings import Settings
from ingest.sources.synthetic import Scene, render_synthetic
from tests.clips import write_clip
from workers.bulk.jobs import scan_jobs
from workers.bulk.metrics import BulkMetrics
from workers.bulk.runner import BulkRunner
from workers.fleet.worker import BatchWorker


class Rig:
    """The command line, and a worker of the bulk queue in this process, on one Redis."""

    def __init__(self, redis, url, model):
        self.redis, self.url, self.model = redis, url, model
        self.settings = Settings().with_values({"redis.url": url, "model.path": str(model)})
        self.book = BulkQueue(redis)
        self.registry = CollectorRegistry()

    def dfd(self, *words):
        return main([*map(str, words), "--redis", self.url, "--set", f"model.path={self.model}"])

    def work(self, scorer=None, alive=lambda: None, **values):
        settings = self.settings.with_values(values)
        run = BulkRunner(self.redis, scorer or load_scorer(settings), settings, "w", alive).run
        scan = partial(scan_jobs, run, BulkMetrics(CollectorRegistry()))
        alone = replace(settings.worker, batch_windows=1, batch_wait_s=0.0)
        BatchWorker("w", [self.book.queue], scan, alone).work(burst=True, logging_level="ERROR")

    def entry(self, path):
        return self.book.entries([str(path)])[0]


@pytest.fixture
def rig(redis_client, redis_url, tiny_model, monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)  # burst workers run in the test's own process
    return Rig(redis_client, redis_url, tiny_model)


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", frames=20)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder with a real video and one that is fake from its second second on."""
    pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    folder = tmp_path_factory.mktemp("scenes")
    render_synthetic(folder / "real.mp4", Scene(duration=4, fake_from=9, size=(960, 540), fps=8))
    render_synthetic(folder / "fake.mp4", Scene(duration=7, fake_from=2, size=(960, 540), fps=8))
    return folder
