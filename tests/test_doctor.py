"""The doctor tells what is there, and exits with 1 when something that dfd needs is not."""

import json
import re
import shutil
import socket
from pathlib import Path

import pytest

from dfd_core.cli import doctor
from dfd_core.cli import main as cli
from dfd_core.cli.doctor import Finding, findings
from dfd_core.models.store import LITERT_FILE, ModelCard, read_card, write_card
from dfd_core.settings import Settings


@pytest.fixture
def model(tmp_path: Path, tiny_model: Path) -> Path:
    """A folder with a small network and its card."""
    folder = tmp_path / "model"
    folder.mkdir()
    shutil.copy(tiny_model / LITERT_FILE, folder / LITERT_FILE)
    write_card(folder, ModelCard("probe", "7", input=read_card(tiny_model).input))
    return folder


def found(settings: Settings) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings(settings)}


def test_a_sound_installation(model: Path, redis_url: str) -> None:
    settings = Settings().with_values({"model.path": str(model), "redis.url": redis_url})
    table = found(settings)
    assert not [finding for finding in table.values() if finding.ok is False]
    assert table["model"].value.startswith("probe 7 (model.tflite: sha256 as the card says")
    assert table["runtime"].value.startswith("litert (ai-edge-litert ")
    assert re.match(r"litert \d+\.\d ms.* a crop of one thread; fastest here: model\.runtime=", table["speed"].value)
    assert "answers at redis://127.0.0.1" in table["Redis"].value
    assert "libavcodec" in table["decoder"].value
    assert table["face models"].ok
    assert table["numpy"].value


def test_the_command_prints_a_table_or_json(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    flags = ["--set", f"model.path={model}"]
    assert cli.main(["doctor", *flags]) == 0
    assert "dfd watch starts an embedded Valkey server" in capsys.readouterr().out
    assert cli.main(["doctor", "--json", *flags]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"what": "dfd", "ok": True, "value": doctor.__version__} in rows


def test_a_model_that_is_not_the_one_its_card_names(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model / LITERT_FILE).write_bytes(b"another")
    assert cli.main(["doctor", "--json", "--set", f"model.path={model}"]) == 1
    rows = {row["what"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert not rows["model"]["ok"]
    assert "is not the file that its card names" in rows["model"]["value"]


def test_no_model_at_all(tmp_path: Path) -> None:
    table = found(Settings().with_values({"model.path": str(tmp_path)}))
    assert (table["model"].ok, table["runtime"].ok) == (False, False)
    assert "card.json is missing" in table["model"].value


def test_a_redis_that_does_not_answer(model: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://:hunter2@127.0.0.1:{unused.getsockname()[1]}/0"
        table = found(Settings().with_values({"model.path": str(model), "redis.url": url}))
    assert table["Redis"].ok is False
    assert "hunter2" not in table["Redis"].value


def test_a_missing_package_is_named() -> None:
    assert doctor._package(("no-such-package-of-ours",), missing_ok=False) == Finding(
        "no-such-package-of-ours", False, "not installed"
    )
    assert doctor._package(("no-such-package-of-ours",), missing_ok=True).ok is None
