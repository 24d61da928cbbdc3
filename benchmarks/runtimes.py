"""The networks of a model on the CPU runtimes that are installed, by turns in one run: how fast, how far apart.

    python benchmarks/runtimes.py [--rounds 10] [--threads 1] [--set model.path=MODEL] [--crops FOLDER [--each 2]]

Each round runs every runtime on the same crops; the ratio is of the best rounds. OpenVINO also with bfloat16, which is
only measured here; ONNX Runtime where the model has its file (`dfd export shipped --out MODEL --format onnx`).

--crops: a folder with clips.csv (columns id, label, use) and crops.csv (file, clip): crops of those of use "evaluate",
so many of each clip, for the logits' distance and the AUC of the clips' mean logits side by side.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from sklearn.metrics import roc_auc_score

from dfd_core.checks.appearance import network_input
from dfd_core.environment import load_settings, parse_assignments
from dfd_core.models.network import BATCH, FEW, LOGIT, Runtime
from dfd_core.models.runtime import FILES, open_runtime
from dfd_core.models.store import TEXTURE_LITERT_FILE, ModelCard, model_folder, read_card
from dfd_core.types import UInt8Array

CROPS = 32
PACKAGES = {"litert": "ai_edge_litert", "openvino": "openvino", "onnx": "onnxruntime"}


def opened(folder: Path, card: ModelCard, threads: int, texture: bool) -> dict[str, Runtime]:
    """Every runtime that is installed and finds its file, LiteRT first."""
    kinds = [k for k, package in PACKAGES.items() if importlib.util.find_spec(package) and FILES[k][0] in card.files]
    runtimes = {kind: open_runtime(folder, kind, threads, texture=texture) for kind in kinds}
    if "openvino" in runtimes:
        from dfd_core.models.openvino_runtime import OpenVinoRuntime

        path = folder / FILES["openvino"][texture]
        batch = FEW if texture else BATCH
        runtimes["openvino bf16"] = OpenVinoRuntime(path, card.input, threads, batch, "bf16")
    return runtimes


def read_crops(folder: Path, each: int, size: int) -> tuple[UInt8Array, list[str], dict[str, bool]]:
    """Inputs uint8 (B, size, size, 3), the clip of each, and which clips are fake."""
    with (folder / "clips.csv").open(newline="") as file:
        fakes = {row["id"]: row["label"] == "fake" for row in csv.DictReader(file) if row["use"] == "evaluate"}
    images: list[UInt8Array] = []
    clips: list[str] = []
    taken: Counter[str] = Counter()
    with (folder / "crops.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["clip"] in fakes and taken[row["clip"]] < each:
                taken[row["clip"]] += 1
                crop = cv2.cvtColor(cv2.imread(str(folder / row["file"])), cv2.COLOR_BGR2RGB)
                images.append(network_input(np.asarray(crop, np.uint8), size))
                clips.append(row["clip"])
    return np.stack(images), clips, fakes


def auc(logits: np.ndarray, clips: list[str], fakes: dict[str, bool]) -> float:
    """Of the clips' mean logits; of the first view where there are two."""
    means = {clip: logits[[i for i, own in enumerate(clips) if own == clip], 0].mean() for clip in set(clips)}
    return float(roc_auc_score([fakes[clip] for clip in means], list(means.values())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--crops", type=Path)
    parser.add_argument("--each", type=int, default=2, help="crops of a clip")
    args = parser.parse_args()
    folder = model_folder(load_settings(flags=parse_assignments(args.set)).model.path)
    card = read_card(folder)
    noise = np.random.default_rng(1).integers(0, 255, (CROPS, card.input.size, card.input.size, 3)).astype(np.uint8)
    crops, clips, fakes = read_crops(args.crops, args.each, card.input.size) if args.crops else (noise, [], {})
    for texture in (False, True) if TEXTURE_LITERT_FILE in card.files else (False,):
        runtimes = opened(folder, card, args.threads, texture)
        best = dict.fromkeys(runtimes, float("inf"))
        logits = {kind: runtime.run(crops)[LOGIT] for kind, runtime in runtimes.items()}
        for _ in range(args.rounds):
            for kind, runtime in runtimes.items():
                started = time.perf_counter()
                runtime.run(noise)
                best[kind] = min(best[kind], time.perf_counter() - started)
        for kind, other in logits.items():
            away = np.abs(other - logits["litert"])
            told = f"logits away by {np.median(away):.1e} in the median, {away.max():.1e} at most"
            told += f", AUC {auc(other, clips, fakes):.4f} of {len(set(clips))} clips" if clips else ""
            rate = f"{CROPS / best[kind]:7.1f} crops/s  {best['litert'] / best[kind]:5.2f} of litert's"
            print(f"{'texture' if texture else 'appearance':11}{kind:14} {rate}, {told}")


if __name__ == "__main__":
    main()
