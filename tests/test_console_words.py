"""What the console calls the figures of a model's card."""

import json
from pathlib import Path
from typing import Any

import pytest

import dfd_core.models
from workers.serve.console.words import HEADINGS, WORDS, cells, column_of, heading_of, plain, table_of, value_of

CARD = Path(dfd_core.models.__file__).parent / "files" / "appearance" / "card.json"
FIGURES: dict[str, Any] = json.loads(CARD.read_text())["figures"]


def test_every_figure_of_the_shipped_card_has_words() -> None:
    group = next(iter(FIGURES["groups"]["dataset"].values()))["against_own_reals"]
    known = WORDS.keys() | HEADINGS.keys()
    inner = FIGURES["clips"].keys() | FIGURES["texture_folds"].keys()
    assert (FIGURES.keys() | group.keys() | inner) - known <= {"groups", "method", "compression"}
    shown = [*plain(FIGURES), *map(heading_of, FIGURES["clips"]), *map(column_of, group)]
    assert not [words for words in shown if "_" in words]


def test_lines_tell_numbers_to_three_digits_and_leave_out_what_is_empty() -> None:
    told = plain({"auc": 0.78198, "auc_95": [0.6979, 0.8549], "reencoded": None, "codecs": ["a", "b"], "files": 125,
                  "groups": {"a": 1}, "my_own_figure": 0.00012345})  # fmt: skip
    assert told == {
        "how often a fake is rated above a real file (AUC)": "0.782",
        "95 % interval of that": "0.698 to 0.855",
        "codecs": "a, b",
        "files": "125",
        "my own figure": "0.000123",
    }


@pytest.mark.parametrize(
    ("name", "groups", "rows"),
    [
        ("by_method", {"Hallo": [4, 0.7184]}, [{"id": "Hallo", "group": "Hallo", "fakes": 4.0, "auc": 0.718}]),
        ("by_family", {"swap": {"fakes": 63, "auc_95": [0.5889, 0.7462]}},
         [{"id": "swap", "group": "swap", "fakes": 63.0, "auc_95": "0.589 to 0.746"}]),
        ("by_family", {"swap": {"auc": None}}, [{"id": "swap", "group": "swap", "auc": ""}]),
        ("by_method", {"Hallo": 0.7}, []),
        ("by_family", {"swap": {"deeper": {"auc": 0.7}}}, []),
        ("by_family", [{"auc": 0.7}], []),
    ],
)  # fmt: skip
def test_groups_with_the_same_parts_are_tables(name: str, groups: Any, rows: list[dict[str, Any]]) -> None:
    assert table_of(name, groups) == rows


def test_cells_can_be_sorted_as_numbers() -> None:
    assert sorted(cells({"auc": value})["auc"] for value in (10.0, 9.0, 0.85)) == [0.85, 9.0, 10.0]
    assert value_of("auc", True) == "True"
