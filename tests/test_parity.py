"""What makes scoring cheap changes no score: each way against the plain one, on one film, within a thousandth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from dfd_core.checks.appearance import Appearance
from dfd_core.checks.texture import Texture
from dfd_core.detector import score_source
from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.windows import SegmentBuilder, WindowSlider
from dfd_core.judging.scoring import Scorer, ScoringItem, load_scorer
from dfd_core.media import read_frames
from dfd_core.media.clock import Sampler
from dfd_core.models.litert import LiteRuntime
from dfd_core.models.runtime import load_model
from dfd_core.models.store import LITERT_FILE, SHIPPED, TEXTURE_LITERT_FILE
from dfd_core.queue.arrays import pack_features, pack_segment, unpack_features, unpack_segment
from dfd_core.settings import ModelSettings, Settings
from dfd_core.types import Frame, Window, WindowResult
from ingest.sources.synthetic import Scene, render_synthetic

SETTINGS = Settings().with_values({"worker.threads": 1, "model.runtime": "litert"})
WINDOWS, FPS = 3, 25
NEAR = 1e-3


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parity") / "film.mp4"
    render_synthetic(path, Scene(duration=WINDOWS, fake_from=WINDOWS / 2, size=(640, 480), fps=FPS))
    return path


@pytest.fixture(scope="module")
def cut(film: Path) -> list[Window]:
    """Its windows, of frames that PyAV alone decodes and converts."""
    sampler, frames = Sampler(SETTINGS.video.sample_fps), []
    with av.open(str(film)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for index, picture in enumerate(container.decode(video=0)):
            if sampler.takes(index / FPS):
                frames.append(Frame("film", index, index / FPS, 0.0, picture.to_ndarray(format="rgb24")))
    return list(windows(frames))


@pytest.fixture(scope="module")
def plain(cut: list[Window]) -> list[float]:
    """What its windows score where each picture goes through the networks by itself, and nothing is kept."""
    model = load_model(SETTINGS.model, 1)
    single, texture = (
        LiteRuntime(SHIPPED / file, model.card.input, 1, batch=1) for file in (LITERT_FILE, TEXTURE_LITERT_FILE)
    )
    alone = replace(model, runtime=single, texture=texture)
    scores = probabilities(Scorer(alone).score([window.segments])[0][0] for window in cut)
    assert len(scores) == WINDOWS
    assert np.ptp(scores) > 10 * NEAR  # else all would be near
    return scores


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    scorer = load_scorer(SETTINGS)
    yield scorer
    scorer.close()


def test_batches(cut: list[Window], plain: list[float], scorer: Scorer) -> None:
    together = scorer.score([window.segments for window in cut])
    assert probabilities(result for result, _ in together) == pytest.approx(plain, abs=NEAR)


def test_what_a_segment_shows_the_networks_needs_no_padding(cut: list[Window]) -> None:
    """Windows of live streams come one by one: padding would take a third of the networks' time."""
    model, (track,) = load_model(SETTINGS.model, 1), cut[0].segments[0].tracks
    assert model.texture is not None
    looked_at = np.isfinite(Appearance(model).features([track])[0]).sum()
    views = len(Texture(model.texture, model.card.input.size).images([track]))
    assert (looked_at % model.runtime.batch, views % model.texture.batch) == (0, 0)


def test_decoding_and_conversion(film: Path, plain: list[float], scorer: Scorer) -> None:
    read = windows(read_frames(str(film), "film", SETTINGS.video, live=False))
    results = [scorer.score([window.segments])[0][0] for window in read]
    assert probabilities(results) == pytest.approx(plain, abs=NEAR)


def test_pixels_through_redis(cut: list[Window], plain: list[float], scorer: Scorer) -> None:
    items = [tuple(unpack_segment(pack_segment(s)) for s in window.segments) for window in cut]
    assert probabilities(result for result, _ in scorer.score(items)) == pytest.approx(plain, abs=NEAR)


def test_features_through_redis(cut: list[Window], plain: list[float], scorer: Scorer) -> None:
    """Of all but a window's newest segment, as in workers."""
    results, kept = list[WindowResult](), dict[int, bytes]()
    for window in cut:
        item: ScoringItem = [unpack_features(kept[s.seq]) if s.seq in kept else s for s in window.segments]
        ((result, features),) = scorer.score([item])
        kept[features.seq] = pack_features(features)
        results.append(result)
    assert probabilities(results) == pytest.approx(plain, abs=NEAR)


@pytest.mark.parametrize("ahead", [False, True], ids=["one by one", "read ahead"])
def test_a_scan(ahead: bool, film: Path, plain: list[float], scorer: Scorer) -> None:
    results = score_source(str(film), "film", SETTINGS, scorer, lambda time_s: None, ahead=ahead)
    assert probabilities(results) == pytest.approx(plain, abs=NEAR)


@pytest.mark.parametrize(("runtime", "threads"), [("litert", 2), ("openvino", 1)])
def test_runtimes(runtime: str, threads: int, cut: list[Window], plain: list[float]) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino", reason="needs OpenVINO: pip install dfd[openvino]")
    other = Scorer(load_model(ModelSettings(runtime=runtime), threads))
    results = [result for result, _ in other.score([window.segments for window in cut])]
    assert probabilities(results) == pytest.approx(plain, abs=NEAR)


def windows(frames: Iterable[Frame]) -> Iterator[Window]:
    builder = SegmentBuilder("film", FaceFinder(SETTINGS.faces), SETTINGS.faces, SETTINGS.windows)
    slider = WindowSlider(SETTINGS.windows)
    for frame in frames:
        yield from (slider.push(segment) for segment in builder.push(frame))
    yield from (slider.push(segment) for segment in builder.flush())


def probabilities(results: Iterable[WindowResult]) -> list[float]:
    """Of the one face of each."""
    found = [score.fake_probability for result in results for score in result.scores]
    return [value for value in found if value is not None]
