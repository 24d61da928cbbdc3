"""The console script: the overview, the commands it knows, and how errors reach the user."""

import argparse
import subprocess
import sys
import types
from pathlib import Path

import pytest

from dfd_core import __version__, cli
from dfd_core.errors import DfdError, SettingsError
from dfd_core.settings import Settings


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A command `probe` that keeps the settings it was given."""
    module = types.ModuleType("probe_command")
    module.HELP = "Probe."
    module.EXAMPLES = "dfd probe --word x"
    module.add_arguments = lambda parser: parser.add_argument("--word")
    module.seen = []
    module.run = lambda args, settings: module.seen.append((args, settings)) or 3
    monkeypatch.setitem(sys.modules, "probe_command", module)
    monkeypatch.setitem(cli.COMMANDS, "probe", "probe_command")
    return module


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str], command: types.ModuleType) -> None:
    for argv in ([], ["--help"], ["-h"]):
        assert cli.main(argv) == 0
        text = capsys.readouterr().out
        assert all(name in text for name in cli.COMMANDS)
        assert "Probe." in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"dfd {__version__}\n"


def test_an_unknown_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["wach"]) == 2
    assert "unknown command 'wach'" in capsys.readouterr().err


def test_flags_reach_the_settings(command: types.ModuleType, tmp_path: Path) -> None:
    config = tmp_path / "dfd.toml"
    config.write_text("[video]\nsample_fps = 4\n")
    argv = ["probe", "--word", "x", "--config", str(config), "--redis", "redis://h:1", "--set", "worker.processes=2"]
    assert cli.main(argv) == 3
    ((args, settings),) = command.seen
    assert isinstance(args, argparse.Namespace)
    assert args.word == "x"
    assert settings == Settings().with_values(
        {"video.sample_fps": 4, "redis.url": "redis://h:1", "worker.processes": 2}
    )


@pytest.mark.parametrize(("error", "code"), [(DfdError("Broken. Mend it."), 1), (SettingsError("Wrong."), 2)])
def test_errors_are_one_sentence(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str], error: DfdError, code: int
) -> None:
    def fail(args: argparse.Namespace, settings: Settings) -> int:
        raise error

    command.run = fail
    assert cli.main(["probe"]) == code
    captured = capsys.readouterr()
    assert captured.err == f"dfd: {error}\n"
    assert captured.out == ""


def test_a_wrong_setting_is_an_error_and_not_a_traceback(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["probe", "--set", "worker.proceses=2"]) == 2
    assert "Did you mean 'worker.processes'?" in capsys.readouterr().err


def test_ctrl_c_is_no_traceback(command: types.ModuleType) -> None:
    def interrupt(args: argparse.Namespace, settings: Settings) -> int:
        raise KeyboardInterrupt

    command.run = interrupt
    assert cli.main(["probe"]) == 130


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dfd_core.cli", "--version"], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"dfd {__version__}\n", "")
