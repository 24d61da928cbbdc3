"""The scorer and both runtimes on the stand-in model."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dfd_core.errors import ModelError
from dfd_core.judging.scoring import NO_FACE, Scorer
from dfd_core.models.network import LOGIT
from dfd_core.models.runtime import LoadedModel, load_model, open_runtime
from dfd_core.models.store import SHIPPED, ModelCard, write_card
from dfd_core.settings import ModelSettings
from dfd_core.types import FaceTrack, Float32Array, Outcome, Segment, SegmentFeatures, UInt8Array
from tests.keras_process import KerasProcess


class Counting:
    """A runtime that counts the crops which the real one is given."""

    name, batch = "litert", 8

    def __init__(self, model: LoadedModel) -> None:
        self._runtime = model.runtime
        self.crops = 0

    def run(self, images: UInt8Array) -> dict[str, Float32Array]:
        self.crops += len(images)
        return self._runtime.run(images)


@pytest.fixture
def model(tiny_model: Path) -> LoadedModel:
    return load_model(ModelSettings(path=str(tiny_model), runtime="litert"), threads=1)


def segment(seq: int, faces: int = 1, *, follows: bool = True, dark: bool = False, absent: int = 0) -> Segment:
    n, rng, tracks = 4, np.random.default_rng(seq), []
    for face in range(faces):
        boxes = np.tile(np.array([100, 100, 180, 180], np.float32), (n, 1))
        boxes[:absent] = np.nan
        landmarks = np.full((n, 6, 2), 140, np.float32)
        landmarks[:absent] = np.nan
        crops = rng.integers(0, 9 if dark else 255, (n, 128, 128, 3)).astype(np.uint8)
        crops[:absent] = 0
        tracks.append(FaceTrack(face, boxes, landmarks, crops, 128))
    times = (seq * n + np.arange(n)) / 8
    return Segment("cam", seq, times, 1e9 + seq, tuple(tracks), follows)


def test_one_score_a_face_over_all_segments_of_the_window(model: LoadedModel) -> None:
    window = [segment(0, faces=2, follows=False), segment(1, faces=2)]
    ((result, features),) = Scorer(model, every_check=True).score([window])
    assert result.outcome is Outcome.SCORED
    assert result.reason is None
    assert [score.track for score in result.scores] == [0, 1]
    assert (result.start_s, result.end_s, result.seq) == (0.0, 7 / 8, 1)
    assert set(result.scores[0].checks) == {"appearance", "noise", "temporal"}
    assert result.scores[0].model == "stand-in-0"
    assert features.seq == 1
    assert features.tracks[0].shape == (4, len(Scorer(model, every_check=True).columns))
    ((alone, _),) = Scorer(model).score([window])
    assert alone.scores[0].checks == {"appearance": result.scores[0].checks["appearance"]}
    assert alone.scores[0].fake_probability == result.scores[0].fake_probability


def test_no_crop_goes_through_the_network_twice(model: LoadedModel) -> None:
    counting = Counting(model)
    scorer = Scorer(replace(model, runtime=counting))
    a, b, c = segment(0), segment(1), segment(2)
    scorer.score([[a, b], [b, c]])
    assert counting.crops == 6  # every second one
    scorer.score([[b, c]])
    assert counting.crops == 6
    copy = Segment(c.stream, c.seq, c.times_s, c.captured_at_s, c.tracks, c.follows)  # as unpacked once more
    Scorer(replace(model, runtime=counting)).score([[c], [copy]])
    assert counting.crops == 8


def test_features_stand_in_for_pixels_that_are_gone(model: LoadedModel) -> None:
    a, b = segment(0), segment(1)
    ((_, of_a),) = Scorer(model).score([[a]])
    ((whole, _),) = Scorer(model).score([[a, b]])
    ((cached, _),) = Scorer(model).score([[of_a, b]])
    assert cached.scores[0].fake_probability == pytest.approx(whole.scores[0].fake_probability, abs=1e-6)
    assert cached.scores[0].checks == pytest.approx(whole.scores[0].checks)


def test_features_of_another_layout_are_left_out(model: LoadedModel) -> None:
    b = segment(1)
    foreign = SegmentFeatures("cam", 0, np.arange(4) / 8, {0: np.zeros((4, 2), np.float32)}, False, 1e9)
    ((result, _),) = Scorer(model).score([[foreign, b]])
    ((alone, _),) = Scorer(model).score([[b]])
    assert result.scores[0].fake_probability == pytest.approx(alone.scores[0].fake_probability, abs=1e-6)


def test_batching_changes_no_score(model: LoadedModel) -> None:
    items = [[segment(n, faces=1 + n % 3)] for n in range(5)]
    together = [result for result, _ in Scorer(model).score(items)]
    alone = [Scorer(model).score([item])[0][0] for item in items]
    for one, other in zip(together, alone, strict=True):
        for x, y in zip(one.scores, other.scores, strict=True):
            assert x.fake_probability == pytest.approx(y.fake_probability, abs=1e-5)


def test_not_scorable_has_a_reason_and_no_probability(model: LoadedModel) -> None:
    none, dark = Scorer(model).score([[segment(0, faces=0)], [segment(1, dark=True)]])
    assert [r.outcome for r, _ in (none, dark)] == [Outcome.NOT_SCORABLE] * 2
    assert none[0].reason == NO_FACE
    assert dark[0].reason is not None
    assert dark[0].reason.startswith("too dark")
    assert dark[0].scores[0].fake_probability is None


def test_a_face_counts_from_when_it_is_seen(model: LoadedModel) -> None:
    ((result, _),) = Scorer(model).score([[segment(0, faces=0), segment(1, absent=2)]])
    assert result.start_s == 0.0
    assert result.scores[0].start_s == 6 / 8


def test_nothing_to_score(model: LoadedModel) -> None:
    assert Scorer(model).score([]) == []


@pytest.mark.slow
def test_both_runtimes_agree(tiny_model: Path, in_keras: KerasProcess) -> None:
    done = in_keras("both_runtimes", tiny_model)
    assert done.ok, done.stderr[-2000:]
    assert float(done.stdout.split()[-1]) < 1e-3


@pytest.mark.parametrize("texture", [False, True], ids=["appearance", "texture"])
def test_openvino_gives_what_litert_gives(texture: bool) -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install dfd[openvino]")
    images = np.random.default_rng(5).integers(0, 255, (11, 192, 192, 3)).astype(np.uint8)
    lite, other = (open_runtime(SHIPPED, kind, 1, texture=texture) for kind in ("litert", "openvino"))
    assert other.name == "openvino"
    assert other.run(images)[LOGIT] == pytest.approx(lite.run(images)[LOGIT], abs=1e-3)
    assert other.run(images[:0])[LOGIT].shape == (0, *((2, 6) if texture else (1,)))  # two voices, a logit a view


def test_a_signal_finds_its_stack_after_openvino() -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install dfd[openvino]")
    program = Path(__file__).parent / "programs" / "terminated_after_openvino.py"
    ended = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=300, check=False)
    assert (ended.stdout, ended.returncode) == ("told\n", 0)


def test_openvino_keeps_the_names_of_several_outputs(tiny_model: Path) -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install dfd[openvino]")
    images = np.random.default_rng(5).integers(0, 255, (9, 64, 64, 3)).astype(np.uint8)
    lite, other = (open_runtime(tiny_model, kind, 1).run(images) for kind in ("litert", "openvino"))
    assert set(other) == {"logit", "embedding"}
    assert all(other[name] == pytest.approx(lite[name], abs=1e-3) for name in lite)


def test_openvino_refuses_what_is_no_network(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install dfd[openvino]")
    (tmp_path / "model.tflite").write_bytes(b"no network")
    write_card(tmp_path, ModelCard("none", "0"))
    with pytest.raises(ModelError, match=r"OpenVINO cannot load .*model\.tflite"):
        open_runtime(tmp_path, "openvino", 1)


def test_scoring_on_the_cpu_imports_no_tensorflow(tiny_model: Path) -> None:
    code = (
        "import sys; from dfd_core.judging.scoring import load_scorer; from dfd_core.environment import load_settings;"
        f"load_scorer(load_settings(flags={{'model.path': {str(tiny_model)!r}, 'model.runtime': 'litert'}}));"
        "print({'tensorflow', 'keras', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "set()"
