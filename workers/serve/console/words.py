"""What a card calls its figures, in words that people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORDS = {
    "model": "model that was measured",
    "runtime": "run by",
    "manifest": "list of the files",
    "seed": "seed of what is drawn at random",
    "bootstrap": "draws for each 95 % interval",
    "files": "files",
    "scored": "files that could be scored",
    "reals": "real files",
    "fakes": "fake files",
    "auc": "how often a fake is rated above a real file (AUC)",
    "auc_95": "95 % interval of that",
    "average_precision": "average precision, from the highest rated down",
    "equal_error_rate": "error where as many real files as fakes are taken wrongly",
    "threshold": "accused from this probability on",
    "accuracy": "of all files told rightly at that threshold",
    "recall": "of fakes accused",
    "accused_reals": "real files accused",
    "calibration_error": "how far probabilities are off what is so (calibration error)",
    "calibration_error_of_the_network": "the same of appearance alone",
    "mean_real": "mean probability of the real files",
    "mean_fake": "mean probability of the fakes",
    "false_alarms": "alarms in real files",
    "real_hours": "hours of real files",
    "false_alarms_per_hour": "alarms in an hour of real files",
    "seconds": "seconds looked at of each file",
    "reencoded": "encoded anew before it was scored",
    "dataset": "data set",
    "windows": "windows",
    "clips": "clips",
    "self_blended": "blended with itself",
    "swapped": "blended with another",
}

HEADINGS = {
    "unscored": "Files that could not be scored, and why",
    "in_part": "Files that could be read in part only, and why",
    "clips": "On windows of the clips that its checks are weighed by",
    "texture_folds": "The check texture on methods, pages and people that it has not seen",
    "auc_by_kind": "AUC by kind of fake",
    "auc_by_check": "AUC of each check alone",
    "by_family": "By family of fakes",
    "by_fold": "AUC by part that was held out",
    "by_method": "By method",
}
COLUMNS = {"auc": "AUC", "auc_95": "95 % interval", "recall": "fakes accused"}  # where there is less room
LISTED = {"by_method": ("fakes", "auc")}  # what the members of its lists are


def words_of(name: str) -> str:
    """What a figure is called; a name that is not known, with blanks for underscores."""
    return WORDS.get(name, name.replace("_", " "))


def heading_of(name: str) -> str:
    """What a group of figures is called."""
    return HEADINGS.get(name, words_of(name))


def column_of(name: str) -> str:
    """What a figure is called at the head of a column."""
    return COLUMNS.get(name, words_of(name))


def value_of(name: str, value: Any) -> str:
    """A figure as text: numbers to three digits, intervals as `from to`, lists with commas."""
    if isinstance(value, bool) or not isinstance(value, int | float | list | tuple):
        return str(value)
    if isinstance(value, int | float):
        return f"{value:.3g}" if isinstance(value, float) else str(value)
    return (" to " if name.endswith("_95") else ", ").join(value_of("", each) for each in value)


def is_plain(value: Any) -> bool:
    """Whether one line tells it all: a number, a text, or a list of these."""
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(each, int | float | str) for each in value)
    return isinstance(value, int | float | str)


def plain(figures: Mapping[str, Any]) -> dict[str, str]:
    """Those of `figures` that a line tells, by what people call them; what is empty is left out."""
    return {words_of(name): value_of(name, value) for name, value in figures.items() if is_plain(value)}


def cells(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Of a row: numbers to three digits, which can be sorted; all else as text, and nothing as nothing."""
    found: dict[str, Any] = {}
    for key, value in figures.items():
        number = isinstance(value, int | float)
        found[key] = "" if value is None else float(f"{value:.3g}") if number else value_of(key, value)
    return found


def table_of(name: str, groups: Any) -> list[dict[str, Any]]:
    """Rows of a group of figures whose members all have plain parts, with `id` and `group`; else none."""
    if not isinstance(groups, dict):
        return []
    if name in LISTED and all(isinstance(each, list) for each in groups.values()):
        groups = {group: dict(zip(LISTED[name], each, strict=False)) for group, each in groups.items()}
    parts = [each if isinstance(each, dict) else {} for each in groups.values()]
    if not all(part and all(value is None or is_plain(value) for value in part.values()) for part in parts):
        return []
    return [{"id": group, "group": group, **cells(part)} for group, part in zip(groups, parts, strict=True)]
