"""From the first fake frame to an alert that Prometheus and Alertmanager have delivered: `make up`, several times.

    python benchmarks/alert.py [--runs 4] [--write]

Takes some forty seconds a run; `--write` puts the figures into docs/alerts.md.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from pages import machine, put

UP = Path(__file__).parents[1] / "deploy" / "up.py"
TOLD = {
    "verdict": r"([\d.]+) s  the last frame that the verdict needed",
    "alert": r"([\d.]+) s  alert delivered",
    "end": r"([\d.]+) s  door ends",
    "resolved": r"([\d.]+) s  alert resolved",
    "fake": r"([\d.]+) s  door turns fake",
}


def run() -> dict[str, float]:
    """Seconds of the camera's time of one run."""
    done = subprocess.run([sys.executable, str(UP)], capture_output=True, text=True, check=False)
    found = {what: re.search(pattern, done.stdout) for what, pattern in TOLD.items()}
    if done.returncode or not all(found.values()):
        raise SystemExit(f"A run ended without its alert:\n{done.stdout}{done.stderr}")
    return {what: float(match[1]) for what, match in found.items() if match}


def spread(values: list[float]) -> str:
    """The least and the most of them."""
    return f"{min(values):.1f} to {max(values):.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/alerts.md")
    args = parser.parse_args()
    runs = []
    for _ in range(args.runs):
        runs.append(run())
        print(runs[-1], flush=True)
    text = (
        f"`make up`, {args.runs} runs ({machine()}): alert delivered {spread([r['alert'] - r['fake'] for r in runs])} "
        f"after the first fake frame, of which {spread([r['verdict'] - r['fake'] for r in runs])} are the frames that "
        f"the verdict needed; resolved {spread([r['resolved'] - r['end'] for r in runs])} after the last."
    )
    print(text)
    if args.write:
        put("docs/alerts.md", "alert", text)


if __name__ == "__main__":
    main()
