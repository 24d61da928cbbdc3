"""Model cards, their hashes, and what is said of models that cannot be used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dfd_core.errors import ModelError
from dfd_core.models.network import in_batches
from dfd_core.models.runtime import choose_runtime, load_model, open_runtime
from dfd_core.models.store import LITERT_FILE, SHIPPED, ModelCard, ModelInput, read_card, verified_file, write_card
from dfd_core.settings import ModelSettings
from dfd_core.types import Thresholds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / LITERT_FILE).write_bytes(b"not really a network")
    write_card(tmp_path, ModelCard("m", "1", input=ModelInput(size=64), thresholds=Thresholds(0.7, 0.3)))
    return tmp_path


def test_a_card_reads_back_as_written(folder: Path) -> None:
    card = read_card(folder)
    assert card.input == ModelInput(size=64)
    assert card.thresholds == Thresholds(0.7, 0.3)
    assert set(card.files) == {LITERT_FILE}
    assert write_card(folder, card) == card


def test_a_file_that_changed_is_refused(folder: Path) -> None:
    assert verified_file(folder, read_card(folder), LITERT_FILE).exists()
    (folder / LITERT_FILE).write_bytes(b"something else")
    with pytest.raises(ModelError, match="not the file that its card names"):
        open_runtime(folder, "litert")


def test_a_file_that_is_no_network_is_one_sentence(folder: Path) -> None:
    with pytest.raises(ModelError, match="LiteRT cannot load"):
        open_runtime(folder, "litert")


def test_a_missing_file_or_folder_says_what_to_do(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"has no model\.keras"):
        verified_file(folder, read_card(folder), "model.keras")
    with pytest.raises(ModelError, match=r"set model\.path"):
        load_model(ModelSettings(path=str(folder / "nowhere")))


@pytest.mark.parametrize(
    "change",
    [
        {"name": 3},
        {"thresholds": {"enter": 0.2, "exit": 0.9}},
        {"files": {"../../etc/passwd": "00"}},
        {"input": {"colour": "red"}},
        {"surprise": 1},
        {"views": [1, 2]},
        {"views": 3},
    ],
)
def test_a_card_that_is_wrong_is_refused(folder: Path, change: dict[str, object]) -> None:
    values = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**values, **change}))
    with pytest.raises(ModelError, match="not valid"):
        read_card(folder)


def test_a_card_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / "card.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        read_card(folder)


def test_runtime_follows_the_setting_and_the_files() -> None:
    assert choose_runtime("keras", ModelCard("m", "1")) == "keras"
    assert choose_runtime("auto", ModelCard("m", "1", files={"model.keras": ""})) == "keras"
    assert choose_runtime("auto", ModelCard("m", "1", files={LITERT_FILE: ""})) == "litert"


def test_batches_are_of_one_size() -> None:
    pixels = np.arange(11 * 12, dtype=np.uint8).reshape(11, 2, 2, 3)
    batches = in_batches(pixels, 4)
    assert [(len(batch), count) for batch, count in batches] == [(4, 4), (4, 4), (4, 3)]
    assert np.array_equal(np.concatenate([batch[:count] for batch, count in batches]), pixels)
    assert in_batches(pixels[:0], 4) == []


def test_reading_a_card_imports_no_framework() -> None:
    code = (
        "import sys; import dfd_core.models.store; print({'tensorflow', 'keras', 'ai_edge_litert'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_shipped_model_is_whole() -> None:
    card = read_card(SHIPPED)
    for name in card.files:
        verified_file(SHIPPED, card, name)
