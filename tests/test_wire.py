import json

import numpy as np
import pytest

from dfd_core.errors import WireError
from dfd_core.queue import arrays, keys, records
from dfd_core.types import (
    EndEvent,
    FaceTrack,
    ModelInfo,
    Outcome,
    Segment,
    SegmentFeatures,
    State,
    StreamState,
    StreamStatus,
    Verdict,
    WindowEvent,
    WindowResult,
    WindowScore,
)


def segment(stream="cam", seq=3, n=4, sides=(32, 48), follows=True):
    rng = np.random.default_rng(seq)
    tracks = []
    for number, side in enumerate(sides):
        boxes = rng.random((n, 4), np.float32)
        boxes[0] = np.nan
        landmarks = rng.random((n, 6, 2), np.float32)
        crops = rng.integers(0, 256, (n, side, side, 3), np.uint8)
        quantisers = rng.random(n, np.float32) if number else None
        tracks.append(FaceTrack(number, boxes, landmarks, crops, side * 2, quantisers, upright=not number))
    return Segment(stream, seq, np.arange(n, dtype=np.float64) / 8 + seq, 1.7e9, tuple(tracks), follows)


def test_segment_survives_the_wire():
    before = segment()
    after = arrays.unpack_segment(arrays.pack_segment(before))
    assert (after.stream, after.seq, after.captured_at_s, after.follows) == ("cam", 3, 1.7e9, True)
    np.testing.assert_array_equal(after.times_s, before.times_s)
    for old, new in zip(before.tracks, after.tracks, strict=True):
        assert (new.id, new.side, new.upright) == (old.id, old.side, old.upright)
        for name in ("boxes", "landmarks", "crops"):
            np.testing.assert_array_equal(getattr(new, name), getattr(old, name))
        unknown = np.full(4, np.nan, np.float32)
        np.testing.assert_array_equal(new.quantisers, unknown if old.quantisers is None else old.quantisers)


def test_segment_without_a_face_is_small():
    data = arrays.pack_segment(segment(sides=()))
    assert arrays.unpack_segment(data).tracks == ()
    assert len(data) < 200


def test_features_survive_the_wire():
    values = np.array([[1, np.nan], [np.nan, np.nan]], np.float32)
    before = SegmentFeatures("cam", 9, np.array([1.0, 2.0]), {0: values, 7: values[:, :1]}, False, 1.5)
    after = arrays.unpack_features(arrays.pack_features(before))
    assert (after.stream, after.seq, after.follows, after.captured_at_s) == ("cam", 9, False, 1.5)
    assert after.tracks.keys() == {0, 7}
    np.testing.assert_array_equal(after.tracks[0], values)
    np.testing.assert_array_equal(after.tracks[7], values[:, :1])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda data: b"", "not written by dfd"),
        (lambda data: b"\x80\x04pickle" + data, "not written by dfd"),
        (lambda data: data[:4] + b"\x01" + data[5:], "wire version 1, not 3"),
        (lambda data: data[:5] + b"\x02" + data[6:], "another kind"),
        (lambda data: data[:10] + b"!" + data[11:], "damaged header"),
        (lambda data: data[:-1], "cut off"),
    ],
)
def test_spoilt_payloads_are_named(spoil, sentence):
    with pytest.raises(WireError, match=sentence):
        arrays.unpack_segment(spoil(arrays.pack_segment(segment())))


def test_header_is_plain_json():
    header = records.WindowHeader("cam", "a1", 4, (3, 4), 0.5, 2.0, 1.7e9, True, 900)
    assert records.parse_header(json.loads(json.dumps(records.header_json(header)))) == header
    assert keys.job_id("cam", "a1", 4) == "cam-a1-4"
    assert records.parse_pending(header.pending.encode()) == records.Pending("a1", 4, 900)
    with pytest.raises(WireError, match="wire version None"):
        records.parse_header({"stream": "cam"})
    with pytest.raises(WireError, match="not a waiting window"):
        records.parse_pending(b"x")


def stored(fields):
    return {key.encode(): value.encode() for key, value in fields.items()}


def test_events_survive_the_wire():
    score = WindowScore("cam", 4, 0, 0.0, 1.0, 0.25, {"noise": None, "appearance": 0.5}, None, "m1", 1.0, 2.0)
    result = WindowResult("cam", 4, Outcome.SCORED, 0.0, 1.0, 1.0, (score,))
    for event in (WindowEvent("a1", result), EndEvent("cam", "a1", 4, None)):
        assert records.parse_event(stored(records.event_fields(event))) == event
    with pytest.raises(WireError, match="not finite"):
        records.event_fields(WindowEvent("a1", WindowResult("cam", 4, Outcome.FAILED, float("nan"), 1.0, 1.0)))


@pytest.mark.parametrize(
    "entry", [{}, {b"event": b"[]"}, {b"event": b'{"v":1,"kind":"x"}'}, {b"event": b'{"v":1,"kind":"end"}'}]
)
def test_foreign_events_are_named(entry):
    with pytest.raises(WireError):
        records.parse_event(entry)


def test_other_records_survive_the_wire():
    verdict = Verdict("cam", 0, State.FAKE, 1.0, 2.0, 0.9, {"noise": 0.5})
    assert records.parse_verdict(stored(records.verdict_fields(verdict))) == verdict
    status = StreamStatus("cam", "a1", StreamState.LOST, True, "rtsp://h/p", 1.0, None, 8.0, 3, 2, {"late": 1})
    assert records.parse_status(records.pack_status(status).encode()) == status
    model = ModelInfo("m1", "litert", 0.6, 0.4)
    assert records.parse_model(records.pack_model(model).encode()) == model
