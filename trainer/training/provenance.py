"""Where a run comes from: its data, its code and its packages, as run.json keeps them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.dataset import Dataset
from trainer.data.face_pool import TRAIN
from trainer.data.layouts import SPLITS


def data_statement(data: Sequence[Path]) -> list[dict[str, Any]]:
    """What data sets say of where their files are from: source, licence, and how many real and fake files train."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for dataset in (Dataset(path) for path in data if not path.is_dir()):
        trains = np.flatnonzero(dataset.splits == SPLITS.index(TRAIN))
        for file, fake in dict(
            zip(dataset.file_of[trains].tolist(), dataset.labels[trains].tolist(), strict=True)
        ).items():
            row = dataset.files[file]
            counts[row.source or row.method, row.licence]["fake" if fake else "real"] += 1
    return [
        {"source": source, "licence": licence, "real": files["real"], "fake": files["fake"]}
        for (source, licence), files in sorted(counts.items())
    ]


def fingerprint(data: Sequence[Path]) -> str:
    """SHA-256 (hex, 16 digits) of what the data consists of: names and sizes of pictures, labels and splits."""
    digest = hashlib.sha256()
    for path in data:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.is_file())
            digest.update("\n".join(f"{p.name} {p.stat().st_size}" for p in files).encode(errors="surrogateescape"))
        else:
            dataset = Dataset(path)
            digest.update(
                "\n".join(f"{f.path} {'+'.join(f.groups)}" for f in dataset.files).encode(errors="surrogateescape")
            )
            digest.update(dataset.labels.tobytes() + dataset.splits.tobytes() + dataset.file_of.tobytes())
    return digest.hexdigest()[:16]


def current_commit() -> str:
    """Git commit of the code that runs, or 'unknown'."""
    place = Path(__file__).parent
    done = subprocess.run(["git", "-C", place, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def version_of(name: str) -> str | None:
    """Of an installed package; None where it is not."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def write_run_card(run: Path, facts: dict[str, object]) -> None:
    """Keep what the run was made from (recipe, data fingerprint, seed, commit, versions) in `run/run.json`."""
    (run / "run.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
