"""A stream's own thresholds: fitted to real footage, kept, and used by scans and monitors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dfd_core.cli.main import main
from dfd_core.errors import SettingsError
from dfd_core.judging.calibration import fit_thresholds, read_thresholds, settings_by_stream, write_thresholds
from dfd_core.judging.verdict import VerdictMachine
from dfd_core.settings import VerdictSettings
from dfd_core.types import State, Thresholds, WindowResult
from tests.test_scan import setting, videos  # noqa: F401
from tests.test_verdict import window
from workers.monitor.runs import RunBook

RECOMMENDED = Thresholds(enter=0.7, exit=0.5)
SETTINGS = VerdictSettings(min_duration_s=2.0, cooldown_s=3.0)


def footage(*probabilities: float | None) -> list[WindowResult]:
    return [window(seq, {0: p}) for seq, p in enumerate(probabilities)]


def alarms(results: list[WindowResult], own: Thresholds) -> int:
    machine = VerdictMachine(replace(SETTINGS, enter=own.enter, exit=own.exit), RECOMMENDED)
    for result in results:
        machine.update(result)
    return len(machine.intervals())


def fitted(results: list[WindowResult]) -> Thresholds:
    own = fit_thresholds(results, SETTINGS, RECOMMENDED)
    assert own is not None
    return own


def test_a_stream_that_looks_fake_gets_a_higher_threshold() -> None:
    rng = np.random.default_rng(1)
    suspicious = footage(*rng.uniform(0.6, 0.9, 200))
    assert alarms(suspicious, RECOMMENDED) > 0
    own = fitted(suspicious)
    assert own.enter > 0.75
    assert own.exit < own.enter
    assert alarms(suspicious, own) == 0
    assert alarms(footage(*[0.99] * 8), own) == 1


def test_single_windows_do_not_raise_it() -> None:
    calm = [0.1, 0.2] * 50
    assert fitted(footage(*calm, 0.95, *calm)).enter == pytest.approx(fitted(footage(*calm, *calm)).enter, abs=0.1)
    assert fitted(footage(*calm, 0.95, 0.95, 0.95, 0.95, *calm)).enter > 0.95


def test_a_calm_stream_gets_a_lower_one_but_not_any() -> None:
    own = fitted(footage(*[0.01, 0.02] * 50))
    assert RECOMMENDED.exit < own.enter < RECOMMENDED.enter
    assert fit_thresholds(footage(None, None), SETTINGS, RECOMMENDED) is None


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.toml"
    thresholds = {"cam-2": Thresholds(0.93, 0.87), "cam_1": Thresholds(0.5, 0.25)}
    write_thresholds(path, thresholds)
    assert read_thresholds(path) == thresholds
    of = settings_by_stream(replace(SETTINGS, thresholds=str(path), enter=0.6))
    assert (of("cam-2").enter, of("cam-2").exit, of("cam-3").enter) == (0.93, 0.87, 0.6)
    assert of("cam-2").min_duration_s == 2.0


@pytest.mark.parametrize(
    "text", ["enter = 0.5", "[a]\nenter = 0.5", "[a]\nenter = 0.5\nexit = 0.6", "[a]\nenter = 'x'"]
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "thresholds.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match="need tables"):
        read_thresholds(path)
    with pytest.raises(SettingsError, match="Cannot read"):
        RunBook(replace(SETTINGS, thresholds=str(tmp_path / "no.toml")), RECOMMENDED, {}, 1.0)


def test_a_command_fits_and_a_scan_uses_it(
    videos: Path,  # noqa: F811
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, clip = tmp_path / "thresholds.toml", str(videos / "face.mp4")
    write_thresholds(out, {"other": RECOMMENDED})
    assert main(["calibrate", clip, "--out", str(out), *setting(tiny_model)]) == 0
    assert "from 2 s of real footage" in capsys.readouterr().out
    own = read_thresholds(out)
    assert set(own) == {"face-mp4", "other"}

    def state(*more: str) -> str:
        assert main(["scan", clip, "--json", *setting(tiny_model), "--set", "verdict.min_duration_s=0.5", *more]) == 0
        return str(json.loads(capsys.readouterr().out)["state"])

    write_thresholds(out, {"face-mp4": Thresholds(0.001, 0.0005)})
    assert state() != State.FAKE
    assert state("--set", f"verdict.thresholds={out}") == State.FAKE
    assert main(["calibrate", str(videos / "wall.mp4"), "--out", str(out), *setting(tiny_model)]) == 1
    assert main(["calibrate", "rtsp://localhost:1/x", "--out", str(out), *setting(tiny_model)]) == 1
    errors = capsys.readouterr().err
    assert "could be scored" in errors
    assert "--seconds" in errors
