"""Put faults into a running system and say what became of it.

    python -m tests.chaos                    # all of them: `make chaos`; with --write into docs/reliability.md
    python -m tests.chaos --brief            # the most telling ones, which CI tries as tests
    python -m tests.chaos --only redis       # those whose name has the word; may be given again

Exit code 0 where every fault passed. What each process printed stays in the folder that is named at the end.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from tests.chaos.fault import Fault, Row, tried
from tests.chaos.faults import FAULTS
from tests.chaos.report import PAGE, cells, put, table
from tests.chaos.system import System


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brief", action="store_true")
    parser.add_argument("--only", action="append", default=[], metavar="WORD")
    parser.add_argument("--write", action="store_true", help=f"put the result into {PAGE.name}")
    args = parser.parse_args(words)
    folder = Path(tempfile.mkdtemp(prefix="dfd-chaos-"))
    chosen = [
        f for f in FAULTS if (f.brief or not args.brief) and (not args.only or any(w in f.name for w in args.only))
    ]
    passed, text = faults(folder, chosen)
    if args.write:
        put(PAGE, "faults", f"{date.today().isoformat()}, {os.cpu_count()} cores.\n\n{text}")
    print(f"What was printed: {folder}")
    return 0 if passed else 1


def faults(folder: Path, chosen: Sequence[Fault]) -> tuple[bool, str]:
    """Try each, the next on a new system where one does not recover; whether all passed, and the table."""
    rows: list[Row] = []
    secrets, left, began = False, list(chosen), time.monotonic()
    while left:
        system = System(folder / str(len(rows)))
        try:
            system.start()
            well = True
            while left and well:
                rows.append(_tried(left.pop(0), system))
                well = rows[-1].well
                print(" | ".join(cells(rows[-1])), flush=True)
        finally:
            system.close()
        secrets = secrets or system.told_secrets()
    failed = [row.name for row in rows if not row.passed]
    print(f"{len(rows)} faults in {time.monotonic() - began:.0f} s, {len(failed)} failed.")
    if secrets:
        print("A password was printed or written.", file=sys.stderr)
    return not failed and not secrets, table([cells(row) for row in rows])


def _tried(fault: Fault, system: System) -> Row:
    try:
        return tried(fault, system)
    except RuntimeError as error:
        return Row(fault.name, None, None, 0, (str(error).partition("\n")[0],), well=False)


if __name__ == "__main__":
    sys.exit(main())
