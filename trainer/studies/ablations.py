"""Train the shipped recipe without one part after another, and measure each: the table of docs/ablations.md.

    python -m trainer.studies.ablations --data restored.h5 --data portraits.h5 --start MODEL --out runs/ablations

Every variant starts from the same run or model folder, sees as many pictures, and is measured on the same clips of
held-out faces, by `dfd fuse`. A variant that is done is not done again. The second table tells what each check is worth
on those clips by itself, and what the fit gave it. The development set is not asked: six looks would be tuning.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RECIPE = "blended-and-restored"
BLENDED = ("fakes.restored=0", "fakes.real=0")
THAWED = ("frozen=[[0, 0]]",)  # a new channel begins at zero, and in a frozen first stage it would stay there
VARIANTS: dict[str, tuple[str, ...]] = {
    "self-blended fakes alone": ("fakes.swapped=0", *BLENDED),
    "and swapped ones": BLENDED,
    "and restored ones, generated portraits": (),
    "the same, without codecs and JPEG": ("degradation.codec_share=0", "degradation.jpeg_share=0"),
    "the same, all stages trained": THAWED,
    "the same, all stages trained, with grey": ("modalities=2", *THAWED),
    "the same, all stages trained, with grey and noise residual": ("modalities=3", *THAWED),
    "restored, generated, and lip-synced ones": ("fakes.lip_synced=0.2",),
}


def main(words: Sequence[str] | None = None) -> None:
    """Train and measure the variants; print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, action="append")
    parser.add_argument("--start", type=Path, required=True, help="run or model folder that all variants go on from")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=200, help="of 48 pictures (default: 200)")
    parser.add_argument("--clips", type=int, default=60, help="of each kind (default: 60)")
    numbers = range(1, len(VARIANTS) + 1)
    parser.add_argument("--only", type=int, nargs="+", choices=numbers, default=numbers, help="variants (default: all)")
    parser.add_argument(
        "--also", action="append", default=[], help="clips of this kind of fake too, as dfd fuse has them"
    )
    parser.add_argument("--change", action="append", default=[], help="of the recipe in every variant")
    args = parser.parse_args(words)
    rows = {"none of it: the start": _measured(args.start, args.out / "start", args)}
    for name, changes in [list(VARIANTS.items())[number - 1] for number in args.only]:
        rows[name] = _variant(args.out / name.replace(" ", "-").replace(",", ""), changes, args)
    kinds = list(rows[name]["figures"]["clips"]["auc_by_kind"])
    _table(["trained on", *kinds, "all"], {name: _of_network(card, kinds) for name, card in rows.items()})
    checks = rows[name]["figures"]["clips"]["auc_by_check"]
    _table(["check", "AUC by itself", "weight in the fit"], {c: [checks[c], rows[name]["fusion"][c]] for c in checks})


def _variant(folder: Path, changes: tuple[str, ...], args: argparse.Namespace) -> dict[str, Any]:
    """The card of a variant, trained if it was not."""
    if not (folder / "run" / "thresholds.json").is_file():
        short = (f"steps={args.steps // 2}", "epochs=2", *args.change)
        words = [word for change in (*short, *changes) for word in ("--change", change)]
        train = ["train", RECIPE, *_data(args), "--start", str(args.start), "--out", str(folder / "run")]
        _dfd([*train, *words], os.environ.get("KERAS_BACKEND", "torch"))
    return _measured(folder / "run", folder, args)


def _measured(run: Path, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The card of a run's network with its figures on clips."""
    model, fused = folder / "model", folder / "fused"
    if not (fused / "card.json").is_file():
        if (run / "card.json").is_file():
            model = run
        else:
            _dfd(["export", str(run), "--out", str(model)], "tensorflow")
        also = [word for kind in args.also for word in ("--also", kind)]
        _dfd(["fuse", str(model), *_data(args), "--out", str(fused), "--clips", str(args.clips), *also], "tensorflow")
    return dict(json.loads((fused / "card.json").read_text()))


def _data(args: argparse.Namespace) -> list[str]:
    return [word for path in args.data for word in ("--data", str(path))]


def _dfd(words: list[str], backend: str) -> None:
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-m", "dfd_core.cli", *words], check=True, env=environment, stdout=sys.stderr)


def _of_network(card: dict[str, Any], kinds: list[str]) -> list[float]:
    clips = card["figures"]["clips"]
    return [*(clips["auc_by_kind"][kind] for kind in kinds), clips["auc_by_check"]["appearance"]]


def _table(head: list[str], rows: dict[str, list[float]]) -> None:
    print("| " + " | ".join(head) + " |\n|---|" + "---|" * (len(head) - 1))
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    print()


if __name__ == "__main__":
    main()
