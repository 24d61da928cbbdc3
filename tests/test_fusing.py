"""The fusion is fitted to what the checks say, and no further."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dfd_core.cli.main import main
from dfd_core.errors import DataError
from dfd_core.judging.fusion import Fusion, Quality
from dfd_core.models.store import SHIPPED, read_card
from tests.fixtures_faces import face_set
from trainer.data.face_pool import FacePool
from trainer.fakes.clips import AUTHENTIC
from trainer.fakes.kinds import MANIPULATIONS
from trainer.measuring.evidence import Evidence, Row, figures_of, fit_fusion, fused, thresholds_of

USUAL = Quality(26.0, 96.0, 120.0, 0.2)


def sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def windows(count: int, *, noise: float = 0.0, temporal: float = 0.0, blurred: bool = False) -> Evidence:
    """Of each class `count` windows: appearance tells, noise and temporal by so much, and nothing where blurred."""
    rng, rows = np.random.default_rng(1), []
    for number in range(2 * count):
        fake = number % 2
        poor = blurred and number % 4 < 2
        sign = 0.0 if poor else 2.0 * fake - 1
        spread = 3.0 if poor else 1.0
        scores = {
            "appearance": sigmoid(1.5 * sign + spread * rng.normal()),
            "noise": sigmoid(noise * sign + rng.normal()),
            "temporal": None if number % 7 == 0 else sigmoid(temporal * sign + rng.normal()),
        }
        kind = ("self_blended", "swapped")[number // 2 % 2] if fake else AUTHENTIC
        rows.append(Row(number // 2, kind, scores, Quality(np.nan, 96.0, 120.0, 0.03 if poor else 0.3)))
    return Evidence.of(iter(rows))


def test_a_check_that_tells_gets_weight_and_one_that_does_not_gets_none() -> None:
    section = fit_fusion(windows(300, noise=0.0, temporal=1.0))
    assert section["temporal"] > 0.3
    assert section["noise"] < 0.1
    assert section["appearance"] > 0.5
    against = fit_fusion(windows(300, noise=-1.0))
    assert against["noise"] == 0.0  # never against what the check is for


def test_poor_pictures_learn_to_count_less() -> None:
    section = fit_fusion(windows(300, blurred=True))
    quality = Fusion.from_card(section).reliability
    assert quality is not None
    poor, good = (quality.of(Quality(np.nan, 96.0, 120.0, sharpness)) for sharpness in (0.03, 0.3))
    assert poor < 0.6 * good


def test_calibration_gets_better_and_thresholds_keep_false_alarms_rare() -> None:
    evidence = windows(400, temporal=1.0)
    figures = figures_of(evidence, 1)
    assert figures["calibration_error"] < 0.08
    assert set(figures["auc_by_kind"]) == {"self_blended", "swapped"}
    by_check = figures["auc_by_check"]
    assert figures["auc"] > by_check["appearance"] > by_check["temporal"] > by_check["noise"]
    assert by_check["noise"] == pytest.approx(0.5, abs=0.05)
    probabilities = fused(fit_fusion(evidence), evidence)
    thresholds = thresholds_of(probabilities, evidence, (0.05, 0.06))
    assert (probabilities[evidence.labels == 0] >= thresholds.enter).mean() <= 0.06
    assert 0.4 <= thresholds.exit <= thresholds.enter


def test_texture_accuses_by_itself_where_kinds_show_in_one_check_each() -> None:
    rng, rows = np.random.default_rng(2), []
    for number in range(900):
        kind = (AUTHENTIC, "swapped", "talking-head")[number % 3]
        seen = {"appearance": kind == "swapped", "texture": kind == "talking-head"}
        scores: dict[str, float | None] = {name: sigmoid(4.0 * told - 2 + rng.normal()) for name, told in seen.items()}
        rows.append(Row(number, kind, scores, USUAL))
    evidence = Evidence.of(iter(rows))
    section = fit_fusion(evidence)
    assert set(section["own_bias"]) == {"texture"}
    either = fused(section, evidence)
    as_one = fused({"appearance": 1.0, "texture": 1.0}, evidence)
    reals = evidence.labels == 0
    caught = [(p[~reals] > np.quantile(p[reals], 0.98)).mean() for p in (either, as_one)]
    assert caught[0] > caught[1] + 0.05
    without = fit_fusion(evidence, ("appearance",))
    assert "own_bias" not in without
    assert without["texture"] == 0


def test_one_class_is_not_enough() -> None:
    with pytest.raises(DataError, match="Of one class"):
        Evidence.of(iter([Row(0, AUTHENTIC, {"appearance": 0.5, "noise": None, "temporal": None}, USUAL)]))


@pytest.mark.slow
def test_a_model_is_fused_anew(
    pool: FacePool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = face_set(tmp_path / "set.h5", pool, ("restored",))
    model = Path(shutil.copytree(SHIPPED, tmp_path / "model"))
    command = ["fuse", str(model), "--data", str(data), "--clips", "2", "--split", "train", "--jobs", "1"]
    command += ["--also", "frozen", "--also", "lip_synced"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    assert "an alarm begins at" in capsys.readouterr().out
    old, new = read_card(model), read_card(tmp_path / "out")
    assert {n: h for n, h in new.files.items() if n != "README.md"} == {
        n: h for n, h in old.files.items() if n != "README.md"
    }
    assert new.figures["clips"]["clips"] == 20
    assert new.version != old.version  # or reports of the old one would be taken for its own
    assert set(new.figures["clips"]["auc_by_kind"]) == {"restored", *MANIPULATIONS}
    assert Fusion.from_card(new.fusion).probability({"appearance": 0.9}, USUAL) is not None
    assert json.loads((tmp_path / "out" / "card.json").read_text())["fusion"] == new.fusion
    assert main([*command, "--out", str(tmp_path / "o"), "--real", str(tmp_path / "out")]) == 1
    assert "holds no video" in capsys.readouterr().err
