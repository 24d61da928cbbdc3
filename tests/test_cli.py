"""The console script: the overview, the commands it knows, and how errors reach the user."""

import argparse
import subprocess
import sys
import types
from pathlib import Path

import pytest

from dfd_core import __version__
from dfd_core.cli import main as cli
from dfd_core.errors import DfdError, SettingsError
from dfd_core.settings import Settings


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A command `probe` that keeps the settings it was given."""
    module = types.ModuleType("probe_command")
    module.EXAMPLES = "dfd probe --word x"
    module.add_arguments = lambda parser: parser.add_argument("--word")
    module.seen = []
    module.run = lambda args, settings: module.seen.append((args, settings)) or 3
    monkeypatch.setitem(sys.modules, "probe_command", module)
    monkeypatch.setitem(cli.COMMANDS, "probe", cli.Command("probe_command", "Probe."))
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


HEAVY = (
    "numpy",
    "cv2",
    "av",
    "redis",
    "rq",
    "rich",
    "sklearn",
    "scipy",
    "h5py",
    "keras",
    "tensorflow",
    "torch",
    "jinja2",
)


def test_help_imports_nothing_heavy() -> None:
    script = "import sys; from dfd_core.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=True)
    assert "dfd COMMAND --help explains each" in done.stdout
    assert not set(HEAVY) & set(done.stderr.split())


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_table_names_modules_that_are_there(name: str) -> None:
    path = Path(cli.__file__).parents[2] / (cli.COMMANDS[name].module.replace(".", "/") + ".py")
    text = path.read_text()
    for needed in ("EXAMPLES = ", "def add_arguments(", "def run("):
        assert needed in text


def test_a_package_that_is_missing_is_one_sentence(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "probe_command")
    assert cli.main(["probe"]) == 1
    assert capsys.readouterr().err == "dfd: dfd probe needs the package probe_command: pip install 'dfd'.\n"


def test_help_of_a_command_and_wrong_flags(command: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["probe", "--help"]) == 0
    assert cli.main(["probe", "--no-such-flag"]) == 2
    assert cli.main(["scan", "--no-such-flag"]) == 1  # 2 means: some files were not scored
    assert cli.main(["scan", "x.mp4", "--set", "worker.proceses=2"]) == 1


def test_control_characters_in_an_error_do_not_reach_the_terminal(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: argparse.Namespace, settings: Settings) -> int:
        raise DfdError("no \x1b[2J\n here")

    command.run = fail
    assert cli.main(["probe"]) == 1
    assert capsys.readouterr().err == "dfd: no \\x1b[2J\\n here\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("by", ["print", "console"])
def test_a_reader_that_goes_away_is_no_traceback(stream: str, by: str) -> None:
    command = [sys.executable, "-m", "tests.programs.talks_for_ever", stream, by]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        pipe = getattr(process, stream)
        assert pipe.read(1) == b"x"
        pipe.close()
        other = process.stderr if stream == "stdout" else process.stdout
        assert other.read() == b""
        assert process.wait(timeout=60) == cli.READER_GONE


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [(">&-", 0, ""), (">/dev/full", 1, "dfd: What was to be written was not: the disk is full.\n")],
)
def test_an_output_that_cannot_be_written(where: str, code: int, said: str) -> None:
    line = f'"{sys.executable}" -m dfd_core.cli --help {where}'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (code, said)


def test_another_broken_pipe_is_not_hidden(command: types.ModuleType) -> None:
    def fail(args: argparse.Namespace, settings: Settings) -> int:
        raise BrokenPipeError

    command.run = fail
    with pytest.raises(BrokenPipeError):
        cli.main(["probe"])


def test_a_place_that_cannot_be_written_is_one_sentence(
    command: types.ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    command.run = lambda args, settings: Path(args.word).mkdir(parents=True, exist_ok=True)
    for place, why in ((tmp_path / "file", "file exists"), (tmp_path / "file" / "below", "not a directory")):
        assert cli.main(["probe", "--word", str(place)]) == 1
        assert capsys.readouterr().err == f"dfd: {place} cannot be read or written: {why}.\n"


@pytest.mark.parametrize(
    ("line", "flag"),
    [
        ("evaluate m.csv --out o --bootstrap 0", "--bootstrap"),
        ("evaluate m.csv --out o --seconds nan", "--seconds"),
        ("evaluate m.csv --out o --seconds 0", "--seconds"),
        ("evaluate m.csv --out o --seed -1", "--seed"),
        ("evaluate m.csv --out o --jobs 2.5", "--jobs"),
        ("calibrate clip.mp4 --seconds -3", "--seconds"),
        ("calibrate clip.mp4 --seconds 0", "--seconds"),
        ("data build folder --layout folders --out d.h5 --seed -1", "--seed"),
        ("train smoke --data d.h5 --out r --feeders 0", "--feeders"),
        (f"fuse m --data d.h5 --out r --clips {10**30}", "--clips"),
    ],
)
def test_a_number_that_means_nothing_is_told(line: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(line.split()) == 2
    assert f"argument {flag}: give a " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("backend", "installed", "message"),
    [
        ("jx", True, "KERAS_BACKEND must be one of tensorflow, torch, jax, not 'jx'."),
        ("jax", False, "KERAS_BACKEND=jax needs the package jax: pip install jax."),
    ],
)
def test_a_backend_that_keras_cannot_have_is_one_sentence(
    backend: str,
    installed: bool,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: sys.modules[__name__] if installed else None)
    assert cli.main(["data", "info", str(tmp_path / "none.h5")]) == 2
    assert capsys.readouterr().err == f"dfd: {message}\n"
