"""The shipped networks on the CPU runtimes that are installed, by turns in one run: crops a second, and how far apart.

    python benchmarks/runtimes.py [--rounds 10] [--threads 1] [--set model.path=MODEL]

Each round runs every runtime on the same crops; the ratio is of the best rounds. OpenVINO: pip install dfd[openvino].
"""

from __future__ import annotations

import argparse
import importlib.util
import time

import numpy as np

from dfd_core.environment import load_settings, parse_assignments
from dfd_core.models.network import LOGIT
from dfd_core.models.runtime import open_runtime
from dfd_core.models.store import TEXTURE_LITERT_FILE, model_folder, read_card

CROPS = 32
PACKAGES = {"litert": "ai_edge_litert", "openvino": "openvino"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    folder = model_folder(load_settings(flags=parse_assignments(args.set)).model.path)
    card, kinds = read_card(folder), [kind for kind, package in PACKAGES.items() if importlib.util.find_spec(package)]
    crops = np.random.default_rng(1).integers(0, 255, (CROPS, card.input.size, card.input.size, 3)).astype(np.uint8)
    for texture in (False, True) if TEXTURE_LITERT_FILE in card.files else (False,):
        runtimes = [open_runtime(folder, kind, args.threads, texture=texture) for kind in kinds]
        best = dict.fromkeys(kinds, float("inf"))
        logits = [runtime.run(crops)[LOGIT] for runtime in runtimes]
        for _ in range(args.rounds):
            for runtime in runtimes:
                started = time.perf_counter()
                runtime.run(crops)
                best[runtime.name] = min(best[runtime.name], time.perf_counter() - started)
        for kind, other in zip(kinds, logits, strict=True):
            rate, ratio = CROPS / best[kind], best[kinds[0]] / best[kind]
            apart = float(np.abs(other - logits[0]).max())
            what = "texture" if texture else "appearance"
            print(
                f"{what:11}{kind:9} {rate:7.1f} crops/s  {ratio:5.2f} of {kinds[0]}'s, logits at most {apart:.1e} apart"
            )


if __name__ == "__main__":
    main()
