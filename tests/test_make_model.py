"""`make model` as the Makefile has it: each step is a command that exists, and reads what an earlier one wrote."""

from __future__ import annotations

import importlib
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from dfd_core.cli.main import COMMANDS, main
from trainer.training.recipes import recipe_named

ROOT = Path(__file__).parents[1]
RUN = "a-run"


def test_each_step_reads_what_was_given_or_made_before(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = _steps()
    made: set[str] = set()
    for words in steps:
        used = {word for word in words if word.startswith(f"{RUN}/")}
        out = words[words.index("--out") + 1]
        assert used - {out} <= made | {f"{folder}/manifest.csv" for folder in made}, words
        made.add(out)
        name = next(" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in COMMANDS)
        module = importlib.import_module(COMMANDS[name].module)
        monkeypatch.setattr(module, "run", lambda args, settings: 0)
        assert main(words) == 0, words
    assert steps[-1][steps[-1].index("--out") + 1] == f"{RUN}/shipped"
    recipes = [recipe_named(words[1]).name for words in steps if words[0] == "train"]
    assert len(recipes) == len(set(recipes)) == 3


def _steps() -> list[list[str]]:
    """The words after `dfd` of each command of `make model`."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    done = subprocess.run(
        ["make", "--dry-run", "--old-file=.venv/.dev", "model", "FACES=faces", "VIDEOS=videos", f"RUN={RUN}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [shlex.split(line) for line in done.stdout.replace("\\\n", " ").splitlines()]
    return [line[line.index(".venv/bin/dfd") + 1 :] for line in lines if ".venv/bin/dfd" in line]
