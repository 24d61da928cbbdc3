"""Tables and pictures of docs/model-card.md, from reports of `dfd evaluate` on the same manifest.

    python -m trainer.studies.card_tables --report first=runs/2s --report whole=runs/all --report crf32=... [--out docs]

Prints each report's AUC with its 95 % interval by group, in Markdown, and draws the scores of the first report's files
by group (scores.png in --out): what lies on the wrong side of the threshold is what the detector misses, or accuses.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

TALKING = "talking-head"


def main(words: Sequence[str] | None = None) -> None:
    """Print the tables and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", action="append", required=True, metavar="NAME=FOLDER", help="of dfd evaluate --out")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="of the picture (default: docs)")
    args = parser.parse_args(words)
    folders = dict(word.split("=", 1) for word in args.report)
    reports = {name: json.loads((Path(f) / "report.json").read_text()) for name, f in folders.items()}
    for by in ("dataset", "method"):
        print(_table(reports, by), "\n")
    names = ("accused_reals", "reals", "recall", "calibration_error", "false_alarms", "real_hours")
    for name, report in reports.items():
        print(f"{name}: " + ", ".join(f"{n} {_short(report.get(n))}" for n in names))
    with (Path(next(iter(folders.values()))) / "scores.csv").open(newline="") as handle:
        _draw(list(csv.DictReader(handle)), next(iter(reports.values()))["threshold"], args.out / "scores.png")


def _table(reports: dict[str, Any], by: str) -> str:
    first = next(iter(reports.values()))
    groups = {n: g["against_all_reals"] for n, g in first["groups"][by].items() if g["against_all_reals"]["auc"]}
    lines = [f"| {by} | fakes | " + " | ".join(reports) + " |", "|---|---|" + "---|" * len(reports)]
    for group in sorted(groups, key=lambda n: -groups[n]["fakes"]):
        of = [report["groups"][by].get(group, {}).get("against_all_reals") for report in reports.values()]
        lines.append(f"| {group} | {groups[group]['fakes']} | " + " | ".join(map(_auc, of)) + " |")
    lines.append(f"| all | {first['fakes']} | " + " | ".join(map(_auc, reports.values())) + " |")
    return "\n".join(lines)


def _auc(figures: Any) -> str:
    if not figures or figures["auc"] is None:
        return ""
    low, high = figures["auc_95"]
    return f"{_short(figures['auc'])} ({_short(low)} to {_short(high)})"


def _short(value: Any) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if isinstance(value, float) else str(value)


def _draw(rows: list[dict[str, str]], threshold: float, path: Path) -> None:
    scored = [row for row in rows if row["fake_probability"]]
    groups: dict[str, list[float]] = {}
    for row in sorted(scored, key=lambda r: (r["label"] == "fake", r["dataset"], r["method"])):
        which = row["method"] if row["dataset"] == TALKING or row["label"] == "fake" else f"real: {row['dataset']}"
        groups.setdefault(which, []).append(float(row["fake_probability"]))
    figure = Figure(figsize=(8, 0.32 * len(groups) + 1), layout="constrained")
    axes = figure.subplots()
    for line, (name, values) in enumerate(groups.items()):
        colour = "tab:blue" if name.startswith("real") else "tab:red"
        axes.scatter(values, [line] * len(values), color=colour, alpha=0.6, s=22)
    axes.axvline(threshold, color="0.4", linestyle="--")
    axes.set_yticks(range(len(groups)), list(groups), fontsize=8)
    axes.set(xlim=(-0.02, 1.02), xlabel="fake probability of a file; the dashed line is the shipped threshold")
    axes.invert_yaxis()
    FigureCanvasAgg(figure).print_png(str(path))


if __name__ == "__main__":
    main()
