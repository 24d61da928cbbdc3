"""The door for Python programs: what `dfd_core` promises, on real files and a real stream, and the page about it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest

import dfd_core
from dfd_core import DataError, Detector, ModelError, Report, SettingsError, State, VideoError, WireError
from dfd_core.cli.main import main
from tests.pictures import write_film

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
TINY = {"model.path": str(Path(__file__).parent / "data" / "tiny_model")}


@pytest.fixture(scope="module")
def pictures(portrait: np.ndarray) -> np.ndarray:
    """Three seconds of a face at 8 pictures a second."""
    return np.stack([np.roll(portrait[:512, :512], n % 3, axis=1) for n in range(24)])


@pytest.fixture(scope="module")
def clip(pictures: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("door") / "clip.mp4", list(pictures), fps=8)


@pytest.fixture(scope="module")
def detector():
    with Detector(TINY) as detector:
        yield detector


def in_new_process(code: str, **environment: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, **environment}
    ).stdout.strip()


def what_was_found(report: Report) -> dict[str, object]:
    """All but when and under which name."""
    own = {"file": "", "seconds": 0.0, "scored_at_s": 0.0}
    return {**report.to_dict(), **own, "verdicts": [replace(verdict, stream="") for verdict in report.verdicts]}


def test_a_path_its_bytes_and_its_url_have_the_same_report(detector: Detector, clip: Path) -> None:
    report = detector.score(clip)
    assert (report.file, report.faces, report.frames, report.model) == (str(clip), 1, 24, detector.model_name)
    assert report.fake_probability is not None
    handler = partial(SimpleHTTPRequestHandler, directory=str(clip.parent))
    handler.func.log_message = lambda *_: None
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://me:hidden@127.0.0.1:{server.server_port}/clip.mp4"
        others = [detector.score(source) for source in (str(clip), clip.read_bytes(), url)]
        server.shutdown()
    assert [what_was_found(other) for other in others] == [what_was_found(report)] * 3
    assert [other.file for other in others[1:]] == ["bytes", url.replace("me:hidden@", "")]


def test_it_is_the_report_of_the_command_line(detector: Detector, clip: Path, capsys) -> None:
    assert main(["scan", "--json", "--set", f"model.path={TINY['model.path']}", str(clip)]) == 0
    told = Report.from_json(capsys.readouterr().out)
    assert what_was_found(told) == what_was_found(detector.score(clip))


def test_frames_score_as_the_file_that_they_came_from(detector: Detector, pictures: np.ndarray, clip: Path) -> None:
    report = detector.score_frames(pictures, fps=8)
    assert report.fake_probability == pytest.approx(detector.score(clip).fake_probability, abs=0.05)
    assert (report.faces, report.frames, report.windows) == (1, 24, 3)
    thrice = np.repeat(pictures, 3, axis=0)
    assert what_was_found(detector.score_frames(thrice, fps=24)) == what_was_found(report)


@pytest.mark.parametrize(("shape", "kind"), [((4, 8, 8), "uint8"), ((4, 8, 8, 3), "float64"), ((0, 8, 8, 3), "uint8")])
def test_other_arrays_are_refused(detector: Detector, shape: tuple[int, ...], kind: str) -> None:
    with pytest.raises(DataError, match="uint8"):
        detector.score_frames(np.zeros(shape, kind), fps=8)


def test_pictures_of_several_sizes_are_refused(detector: Detector) -> None:
    with pytest.raises(DataError, match="all of one size"):
        detector.score_frames([np.zeros((8, 8, 3), np.uint8), np.zeros((9, 8, 3), np.uint8)], fps=8)  # type: ignore[arg-type]


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), None, "fast", 1j, [25, 25]])
def test_other_rates_are_refused(detector: Detector, pictures: np.ndarray, fps: float) -> None:
    with pytest.raises(DataError, match="fps"):
        detector.score_frames(pictures, fps)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), None, "all"])
def test_a_length_that_looks_at_nothing_is_refused(detector: Detector, clip: Path, seconds: float) -> None:
    with pytest.raises(DataError, match="seconds"):
        detector.score(clip, seconds=seconds)


def test_what_is_no_source_and_no_setting_is_refused(detector: Detector) -> None:
    with pytest.raises(DataError, match="int"):
        detector.watch(3)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="Unknown setting '1'"):
        Detector({1: 2})  # type: ignore[dict-item]


@pytest.mark.parametrize("source", ["missing.mp4", b"", b"no video at all", "http://127.0.0.1:1/clip.mp4"])
def test_what_cannot_be_read_has_a_report_with_the_reason(detector: Detector, source: str | bytes) -> None:
    report = detector.score(source)
    assert (report.state, report.scored, report.frames) == (State.UNKNOWN, False, 0)
    assert report.reason


def test_a_watched_file_gives_its_windows_and_verdicts(detector: Detector, clip: Path) -> None:
    seen = list(detector.watch(clip))
    assert [observation.result.seq for observation in seen] == [0, 1, 2]
    assert tuple(v for observation in seen for v in observation.verdicts) == detector.score(clip).verdicts
    with pytest.raises(VideoError, match="is not there"):
        list(detector.watch("missing.mp4"))


def test_a_watched_stream_goes_on_until_it_is_closed(detector: Detector, clip: Path, rtsp_server) -> None:
    stream = detector.watch(rtsp_server(clip, repeat=20))
    seen = [next(stream) for _ in range(4)]
    stream.close()
    assert [observation.result.seq for observation in seen] == [0, 1, 2, 3]
    assert any(observation.verdicts for observation in seen)
    assert all(observation.result.scores for observation in seen)


def test_a_stream_that_does_not_come_up_is_an_error() -> None:
    with Detector({**TINY, "video.open_timeout_s": 2.0}) as detector:
        with pytest.raises(VideoError, match="nothing listens"):
            next(detector.watch("rtsp://me:hidden@127.0.0.1:1/stream"))
        with pytest.raises(VideoError, match="watch it"):
            detector.score("rtsp://me:hidden@127.0.0.1:1/stream")


def test_a_closed_detector_says_so(clip: Path) -> None:
    detector = Detector(TINY)
    detector.close()
    detector.close()
    for use in (detector.score, detector.watch, partial(detector.score_frames, fps=8)):
        with pytest.raises(ModelError, match="closed"):
            use(clip)


def test_one_that_is_closed_while_it_watches_says_so(clip: Path) -> None:
    detector = Detector(TINY)
    seen = detector.watch(clip)
    next(seen)
    detector.close()
    with pytest.raises(ModelError, match="closed"):
        next(seen)


def test_a_report_comes_back_from_json(detector: Detector, clip: Path) -> None:
    report = detector.score(clip)
    assert Report.from_json(report.to_json()) == report
    assert Report.from_json(report.to_json().encode()) == report
    for other in ("", "[]", "null", '{"a":' * 100_000, None, json.dumps({**report.to_dict(), "faces": "many"})):
        with pytest.raises(WireError):
            Report.from_json(other)


def test_settings_as_values_read_no_environment() -> None:
    code = f"from dfd_core import Detector; print(Detector({TINY!r}).settings.verdict.enter)"
    assert in_new_process(code, DFD_VERDICT_ENTER="0.9", DFD_NO_SUCH="1", DFD_CONFIG="/nowhere") == "0.0"
    with pytest.raises(SettingsError, match="min_width_px"):
        Detector({"faces.min_width": 64})


def test_the_import_is_light_and_leaves_the_environment_alone() -> None:
    heavy = ("numpy", "cv2", "av", "redis", "rq", "ai_edge_litert", "keras", "tensorflow", "prometheus_client")
    code = f"""
import os, sys
before = dict(os.environ)
import dfd_core
print(before == dict(os.environ), [name for name in {heavy!r} if name in sys.modules])
from dfd_core import *
dfd_core.Detector
print([name for name in ("redis", "rq", "keras") if name in sys.modules])
"""
    assert in_new_process(code).splitlines() == ["True []", "[]"]


def test_every_promised_name_is_there_and_no_other_is_lent() -> None:
    assert all(getattr(dfd_core, name) is not None for name in dfd_core.__all__)
    with pytest.raises(AttributeError, match="load_scorer"):
        _ = dfd_core.load_scorer
    assert (Path(dfd_core.__file__).parent / "py.typed").exists()


def test_the_import_names_belong_to_dfd_alone() -> None:
    owners = packages_distributions()
    for name in ("dfd_core", "ingest", "workers", "trainer"):
        assert set(owners[name]) == {"dfd"}


def test_the_page_about_it_runs(clip: Path, rtsp_server, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(clip.parent)
    names: dict[str, object] = {}
    url = rtsp_server(clip, repeat=20)
    for snippet in SNIPPETS:
        exec(compile(snippet.replace("rtsp://camera/stream", url), str(PAGE), "exec"), names)
    out = capsys.readouterr().out
    assert "faces" in out
    assert "did you mean" in out.lower()
    assert out.count("face ") >= 1
