"""What decides a search, and what became of each trial; nothing of it needs Keras."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from rich.table import Table

from dfd_core.errors import DataError

DFD, AUTOKERAS = "dfd", "autokeras"  # spaces
PROJECT = "trials"  # KerasTuner's folder in that of the run
TRIALS, HISTORY = "trials.csv", "history.csv"
_FACTS = "facts.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides a search, but for the data and the seed."""

    space: str
    backbones: tuple[str, ...]
    modalities: tuple[int, ...]
    trials: int
    epochs: int
    batch: int
    size: int
    frames: str
    limit: int
    max_parameters: float
    max_latency_ms: float | None

    def __post_init__(self) -> None:
        for name in ("trials", "epochs", "batch"):
            if getattr(self, name) < 1:
                raise DataError(f"--{name} must be at least 1.")
        if self.size < 32:
            raise DataError("--size must be at least 32 px, or nothing is left of a face behind a trunk.")
        if self.limit < 0:
            raise DataError("--limit must be 0, for all, or a number of windows.")
        if not set(self.modalities) <= {1, 2, 3}:
            raise DataError("--modalities are 1 (RGB), 2 (gray too) and 3 (the noise residual too).")


@dataclass(slots=True)
class Trial:
    """One network of the search; figures are None where it was not trained or measured."""

    number: int
    choices: dict[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    latency_ms: float | None = None
    accuracy: float | None = None
    auc: float | None = None
    eligible: bool = False
    why: str = ""  # it is not
    seconds: float = 0.0  # of training
    history: dict[str, list[float]] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Keep it in the trial's own folder."""
        (folder / _FACTS).write_text(json.dumps(asdict(self)), encoding="utf-8")

    def figures(self) -> dict[str, Any]:
        """What was measured of it."""
        return {name: getattr(self, name) for name in ("parameters", "latency_ms", "accuracy", "auc")}

    def told(self) -> str:
        """Its choices in one line."""
        return ", ".join(f"{name.split('/')[-1]} {value}" for name, value in self.choices.items())


def read_trials(run: Path) -> list[Trial]:
    """All trials of a run that have ended, in their order."""
    found = (json.loads(path.read_text(encoding="utf-8")) for path in (run / PROJECT).glob(f"trial_*/{_FACTS}"))
    return sorted((Trial(**values) for values in found), key=lambda trial: trial.number)


def table_of(trials: Sequence[Trial], best: int) -> Table:
    """The trials as a table, with the best of them marked."""
    table = Table("trial", "choices", "parameters", "ms", "accuracy", "AUC", "eligible")
    for trial in trials:
        table.add_row(
            f"{trial.number}{' *' if trial.number == best else ''}",
            trial.told(),
            _cell(trial.parameters, ","),
            _cell(trial.latency_ms, ".2f"),
            _cell(trial.accuracy, ".3f"),
            _cell(trial.auc, ".3f"),
            "yes" if trial.eligible else f"no: {trial.why}",
        )
    return table


def write_tables(run: Path, trials: Sequence[Trial]) -> None:
    """The same as trials.csv, and every epoch of every trial as history.csv."""
    names = [f.name for f in fields(Trial) if f.name != "history"]
    rows = [{**asdict(trial), "choices": trial.told()} for trial in trials]
    _write(run / TRIALS, names, rows)
    epochs = [
        {"trial": trial.number, "epoch": epoch + 1, **{key: values[epoch] for key, values in trial.history.items()}}
        for trial in trials
        for epoch in range(len(trial.history.get("loss", ())))
    ]
    _write(run / HISTORY, list(epochs[0]), epochs)


def why_nothing(trials: Sequence[Trial], plan: Plan) -> str:
    """One sentence for a search in which no network could be kept."""
    parameters = [trial.parameters for trial in trials if trial.parameters is not None]
    times = [trial.latency_ms for trial in trials if trial.latency_ms is not None]
    if parameters and min(parameters) > plan.max_parameters:
        return (
            f"Every network is above the ceiling of parameters: the smallest has {min(parameters):,}, "
            f"and --max-parameters is {plan.max_parameters:,.0f}."
        )
    if plan.max_latency_ms is not None and times and min(times) > plan.max_latency_ms:
        return (
            f"Every network is above the ceiling of latency: the fastest takes {min(times):.2f} ms an image, "
            f"and --max-latency-ms is {plan.max_latency_ms:g}."
        )
    return f"No trial could be trained; the last one said: {trials[-1].why}"


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _write(path: Path, names: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, names)
        writer.writeheader()
        writer.writerows({key: _rounded(value) for key, value in row.items() if key in names} for row in rows)


def _rounded(value: Any) -> Any:
    return f"{value:.5g}" if isinstance(value, float) else value
