"""What each check measures, by contract and on pictures whose answer is known; fusion and its gates."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from dfd_core.checks.appearance import network_input
from dfd_core.checks.noise import Noise
from dfd_core.checks.quality import QualityMeasure
from dfd_core.checks.temporal import Temporal
from dfd_core.errors import ModelError
from dfd_core.judging.fusion import Fusion, Gates, Quality, logit
from dfd_core.judging.scoring import quality_of
from dfd_core.types import FaceTrack, UInt8Array

MEASURES = [Noise(), Temporal(), QualityMeasure()]
SIDE = 192  # of the crops: the face box is 120 px


def scene(seed: int = 0, noise: float = 4.0) -> UInt8Array:
    """A smooth picture with even sensor noise."""
    rng = np.random.default_rng(seed)
    smooth = cv2.resize(
        np.random.default_rng(99).uniform(60, 200, (6, 6, 3)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
    )
    return np.clip(smooth + rng.normal(0, noise, smooth.shape), 0, 255).astype(np.uint8)


def face_mask() -> np.ndarray:
    mask = np.zeros((SIDE, SIDE, 1), np.float32)
    return cv2.ellipse(mask, (SIDE // 2, SIDE // 2), (58, 58), 0, 0, 360, 1.0, -1)


def track(crops: list[UInt8Array], absent: tuple[int, ...] = (), shake: float = 0.0, side: int = SIDE) -> FaceTrack:
    n = len(crops)
    boxes = np.tile(np.array([100, 100, 220, 220], np.float32), (n, 1))
    landmarks = np.full((n, 6, 2), 150, np.float32)
    landmarks += np.random.default_rng(1).normal(0, shake, landmarks.shape).astype(np.float32)
    pixels = np.stack(crops)
    for row in absent:
        boxes[row], landmarks[row], pixels[row] = np.nan, np.nan, 0
    return FaceTrack(3, boxes, landmarks, pixels, side)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda m: m.name)
def test_contract_of_every_measure(measure: Noise | Temporal | Quality) -> None:
    tracks = [
        track([scene(n) for n in range(4)], absent=(1,)),
        track([scene()]),
        track([scene(n) for n in range(2)], absent=(0, 1)),
        FaceTrack(0, *(a for a in _tiny()), side=16),
    ]
    measured = measure.features(tracks)
    assert [rows.shape for rows in measured] == [(len(t.boxes), len(measure.columns)) for t in tracks]
    assert all(rows.dtype == np.float32 for rows in measured)
    assert np.isnan(measured[0][1]).all()
    assert np.isnan(measured[2]).all()
    if not isinstance(measure, QualityMeasure):
        scores = [measure.score(rows) for rows in measured]
        assert all(score is None or 0 <= score <= 1 for score in scores)
        assert scores[2] is None


def _tiny() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    boxes = np.array([[4, 4, 14, 14]] * 3, np.float32)
    return boxes, np.full((3, 6, 2), 8, np.float32), np.full((3, 16, 16, 3), 90, np.uint8)


def test_noise_sees_a_smooth_face_in_a_noisy_picture() -> None:
    even = track([scene(n) for n in range(4)])
    pasted = []
    for n in range(4):
        image = scene(n)
        mask = face_mask()
        pasted.append((image * (1 - mask) + cv2.GaussianBlur(image, (0, 0), 2) * mask).astype(np.uint8))
    rows_even, rows_pasted = Noise().features([even, track(pasted)])
    assert np.abs(rows_even[:, 0]).max() < 0.3
    assert rows_pasted[:, 0].max() < -2
    assert Noise().score(rows_pasted) > 0.8
    assert Noise().score(rows_even) < 0.5


def test_noise_is_not_measured_on_crops_scaled_to_less_than_half() -> None:
    (rows,) = Noise().features([track([scene()], side=SIDE * 3)])
    assert Noise().score(rows) is None


def test_temporal_needs_two_frames_in_a_row() -> None:
    temporal = Temporal()
    single, apart = temporal.features([track([scene()]), track([scene(n) for n in range(3)], absent=(1,))])
    assert temporal.score(single) is None
    assert temporal.score(apart) is None


def test_temporal_sees_flicker_and_jitter() -> None:
    temporal = Temporal()
    calm = track([scene(n) for n in range(8)])
    flickering = []
    for n in range(8):
        light = 1 + 0.15 * (-1) ** n * face_mask()
        flickering.append(np.clip(scene(n) * light, 0, 255).astype(np.uint8))
    calm_rows, wild_rows = temporal.features([calm, track(flickering, shake=6)])
    assert np.nanmedian(calm_rows[:, 0]) == 0
    assert np.nanmedian(wild_rows[:, 0]) > 0.03
    assert np.nanmedian(wild_rows[:, 1]) > 0.15
    assert np.nanmedian(calm_rows[:, 1]) < 0.02
    assert temporal.score(wild_rows) > temporal.score(calm_rows)


def test_quality_of_dark_blurred_and_good_faces() -> None:
    good, dark, blurred = scene(), (scene() * 0.05).astype(np.uint8), cv2.GaussianBlur(scene(), (0, 0), 12)
    rows = QualityMeasure().features([track([good]), track([dark]), track([blurred])])
    assert [Gates().reason(quality_of(r)) is None for r in rows] == [True, False, False]
    assert np.isnan(rows[0][0, 0])
    assert rows[0][0, 1] == 120
    told = replace(track([good, good]), quantisers=np.array([20, 30], np.float32))
    assert quality_of(QualityMeasure().features([told])[0]).quantiser == 25


def test_a_face_that_is_not_upright_is_not_scorable() -> None:
    upright, lying = track([scene(), scene()]), replace(track([scene(), scene()]), upright=False)
    rows = QualityMeasure().features([upright, lying])
    assert Gates().reason(quality_of(rows[1])) == "the face is not upright"
    assert Gates().reason(quality_of(np.concatenate([rows[0], rows[0][:1], rows[1][:1]]))) is None


def test_gates_name_what_is_wrong() -> None:
    gates = Gates()
    assert gates.reason(Quality(math.nan, 200, 120, 0.5)) is None
    for values, words in (((20, 120, 0.5), "too small"), ((200, 3, 0.5), "too dark"), ((200, 120, 0), "too blurred")):
        assert gates.reason(Quality(26, *values)).startswith(words)  # type: ignore[union-attr]


USUAL = Quality(quantiser=26.0, width_px=96.0, brightness=120.0, sharpness=0.2)


def test_fusion_is_the_weighted_sum_of_logits() -> None:
    scores = {"appearance": 0.3, "noise": 0.99, "temporal": None}
    assert Fusion.from_card({}).probability(scores, USUAL) == pytest.approx(0.3)
    both = Fusion.from_card({"appearance": 1.0, "noise": 0.5, "bias": -0.2})
    total = logit(0.3) + 0.5 * logit(0.9) - 0.2
    assert both.probability({"appearance": 0.3, "noise": 0.9, "temporal": 0.1}, USUAL) == pytest.approx(
        1 / (1 + np.exp(-total))
    )
    assert both.probability({"appearance": None, "noise": 0.9}, USUAL) is None
    low, high = (both.probability({"appearance": score}, USUAL) for score in (0.0, 1.0))
    assert 0 < low < high < 1  # type: ignore[operator]


def test_evidence_counts_less_in_a_poor_picture() -> None:
    quality = {"offset": 1.0, "width": 1.0, "sharpness": 2.0, "compression": 0.5}
    fusion = Fusion.from_card({"appearance": 1.0, "bias": -0.5, "reliability": quality})
    better = {"width_px": 300.0, "sharpness": 0.4, "quantiser": 18.0}
    changes = ({}, {"width_px": 48.0}, {"sharpness": 0.05}, {"quantiser": 32.0}, {"quantiser": math.nan}, better)
    usual, small, blurred, coarse, silent, large = (
        fusion.probability({"appearance": 0.99}, replace(USUAL, **change)) for change in changes
    )
    assert blurred < small < coarse < usual == silent < large  # type: ignore[operator]
    assert usual == pytest.approx(1 / (1 + np.exp(0.5 - logit(0.99) / (1 + np.exp(-1.0)))))
    nothing = replace(USUAL, width_px=0.0, sharpness=0.0)
    assert fusion.probability({"appearance": 0.99}, nothing) == pytest.approx(1 / (1 + np.exp(0.5)), abs=0.01)


def test_a_check_with_a_bias_of_its_own_accuses_by_itself() -> None:
    section = {"appearance": 2.0, "bias": -0.5, "texture": 1.5, "own_bias": {"texture": -1.0}}
    fusion = Fusion.from_card(section)
    quiet, loud = logit(0.2), logit(0.95)
    for one, other in ((quiet, loud), (loud, quiet), (quiet, quiet)):
        scores = {"appearance": 1 / (1 + np.exp(-one)), "texture": 1 / (1 + np.exp(-other))}
        odds = np.exp(2 * one - 0.5) + np.exp(1.5 * other - 1)
        assert fusion.probability(scores, USUAL) == pytest.approx(odds / (1 + odds))
    unknown = fusion.probability({"appearance": 0.5, "texture": None}, USUAL)  # counts as even odds
    assert unknown == pytest.approx(fusion.probability({"appearance": 0.5, "texture": 0.5}, USUAL))


@pytest.mark.parametrize(
    "section",
    [
        {"smell": 1.0},
        {"own_bias": {"smell": 1.0}},
        {"own_bias": 1.0},
        {"noise": "much"},
        {"reliability": {"offset": 1.0}},
        {"reliability": 0.5},
    ],
)
def test_fusion_refuses_a_card_that_it_does_not_understand(section: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="model card"):
        Fusion.from_card(section)


@pytest.mark.parametrize("side", [20, 224, 256])
def test_network_input_is_square_bytes(side: int) -> None:
    crop = np.full((side, side, 3), 77, np.uint8)
    assert np.array_equal(network_input(crop, 224), np.full((224, 224, 3), 77, np.uint8))
