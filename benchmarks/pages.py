"""Where benchmarks put their figures: between markers of README.md and of pages of docs/."""

from __future__ import annotations

import os
from pathlib import Path

LOAD = os.getloadavg()[1]  # before anything was measured
ROOT = Path(__file__).parents[1]


def put(page: str, name: str, text: str) -> None:
    """`text` between `<!-- name: begin -->` and its end, in the page of that name, from the root on."""
    path = ROOT / page
    before, begin, rest = path.read_text(encoding="utf-8").partition(f"<!-- {name}: begin -->\n")
    _, end, after = rest.partition(f"<!-- {name}: end -->")
    if not (begin and end):
        raise SystemExit(f"{path} has no markers <!-- {name}: begin --> and <!-- {name}: end -->.")
    path.write_text(f"{before}{begin}{text}\n{end}{after}", encoding="utf-8")


def machine() -> str:
    """What it was measured on."""
    return f"{os.cpu_count()} cores, load {LOAD:.1f} before"
