"""Train the shipped recipe without one part after another, and measure each: the table of docs/ablations.md.

    python docs/ablations.py --data restored.h5 --data portraits.h5 --start MODEL --out runs/ablations \
        [--manifest videos/manifest.csv] [--steps 300]

Every variant starts from the same model and sees as many pictures. A variant that is done is not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

RECIPE = "blended-and-restored"
ALONE = ("fakes.swapped=0", "fakes.restored=0", "fakes.real=0")
VARIANTS: dict[str, tuple[str, ...]] = {
    "self-blended fakes alone": ALONE,
    "and swapped ones": ("fakes.restored=0", "fakes.real=0"),
    "and restored ones, generated portraits": (),
    "the same without codec and JPEG": ("degradation.codec_share=0", "degradation.jpeg_share=0"),
    "the same with grey": ("modalities=2",),
    "the same with grey and noise residual": ("modalities=3",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, action="append")
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, help="of labelled videos to measure on besides")
    parser.add_argument("--steps", type=int, default=300, help="of 48 pictures (default: 300)")
    parser.add_argument("--clips", type=int, default=60, help="of each kind (default: 60)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each video (default: 2)")
    args = parser.parse_args()
    rows = [_row(name, changes, args) for name, changes in VARIANTS.items()]
    columns = list(dict.fromkeys(column for _, figures in rows for column in figures))
    print("| variant | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for name, figures in rows:
        print(f"| {name} | " + " | ".join(_cell(figures.get(column)) for column in columns) + " |")


def _row(name: str, changes: tuple[str, ...], args: argparse.Namespace) -> tuple[str, dict[str, float]]:
    folder = args.out / name.replace(" ", "-").replace(",", "")
    run, model, fused, report = (folder / part for part in ("run", "model", "fused", "report"))
    data = [word for path in args.data for word in ("--data", str(path))]
    if not (model / "card.json").is_file():
        short = (f"steps={args.steps // 2}", "epochs=2")
        words = [word for change in (*short, *changes) for word in ("--change", change)]
        train = ["train", RECIPE, *data, "--start", str(args.start), "--out", str(run), "--threads", "1"]
        _dfd([*train, "--feeders", "1", *words], "torch")
        _dfd(["export", str(run), "--out", str(model)], "tensorflow")
    if not (fused / "card.json").is_file():
        _dfd(["fuse", str(model), *data, "--out", str(fused), "--clips", str(args.clips)], "tensorflow")
    clips = json.loads((fused / "card.json").read_text())["figures"]["clips"]
    figures = {f"clips, {kind}": value for kind, value in clips["auc_by_kind"].items()}
    if args.manifest is not None:
        if not (report / "report.json").is_file():
            words = ["--seconds", str(args.seconds), "--jobs", "2", "--set", f"model.path={model}"]
            _dfd(["evaluate", str(args.manifest), "--out", str(report), *words], "tensorflow")
        measured = json.loads((report / "report.json").read_text())
        groups = measured["groups"]["dataset"]
        figures |= {g: groups[g]["against_all_reals"]["auc"] for g in groups if groups[g]["against_all_reals"]["auc"]}
        figures["all"] = measured["auc"]
    return name, figures


def _dfd(words: list[str], backend: str) -> None:
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-m", "dfd_core.cli", *words], check=True, env=environment, stdout=sys.stderr)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".lstrip("0")


if __name__ == "__main__":
    main()
