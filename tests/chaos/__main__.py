"""Put faults into a running system and say what became of it.

    python -m tests.chaos                    # all of them: `make chaos`; with --write into docs/reliability.md
    python -m tests.chaos --long             # those that can last for ten minutes do; --write has a table of its own
    python -m tests.chaos --brief            # the most telling ones, which CI tries as tests
    python -m tests.chaos --only redis       # those whose name has the word; may be given again

Exit code 0 where every fault passed. What each process printed stays in the folder that is named at the end.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from tests.chaos.fault import Fault, Row, attempted
from tests.chaos.faults import FAULTS
from tests.chaos.report import PAGE, cells, put, table
from tests.chaos.spawned import ends_in_order, undisturbed
from tests.chaos.system import System

LOAD_EVERY_S = 30.0


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brief", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", action="append", default=[], metavar="WORD")
    told = f"put the result of all faults, or of those of --long that are tried, into {PAGE.name}"
    parser.add_argument("--write", action="store_true", help=told)
    args = parser.parse_args(words)
    if args.write and (args.brief or (args.only and not args.long)):
        parser.error("--write is for all faults: leave out --brief, and --only but with --long.")
    folder = Path(tempfile.mkdtemp(prefix="dfd-chaos-"))
    chosen = [
        f for f in FAULTS if (f.brief or not args.brief) and (not args.only or any(w in f.name for w in args.only))
    ]
    if not chosen:
        parser.error("no fault has that word in its name.")
    for fault in chosen if args.long else ():
        fault.lengthen()
    loads, began = Loads(), time.monotonic()
    with ends_in_order():
        rows, secrets = faults(folder, chosen)
    text = f"{_summary(rows, time.monotonic() - began)} {loads.stop()}"
    print(text)
    if secrets:
        print("A password was printed or written.", file=sys.stderr)
    if args.write:
        put(PAGE, "long" if args.long else "faults", f"{text}\n\n{table([cells(row) for row in rows])}")
    print(f"What was printed: {folder}")
    return 0 if all(row.passed for row in rows) and not secrets else 1


def faults(folder: Path, chosen: Sequence[Fault]) -> tuple[list[Row], bool]:
    """Try each, the next on a new system where one does not recover; what became of them, and of secrets."""
    rows: list[Row] = []
    secrets, left = False, sorted(chosen, key=lambda fault: fault.clocked)
    while left:
        system = System(folder / str(len(rows)), clocked=left[0].clocked)
        try:
            system.start()
            well, clocked = True, left[0].clocked
            while well and left and left[0].clocked == clocked:
                well = _add(rows, attempted(left.pop(0), system)).well
        except RuntimeError as error:  # it did not come to work
            _add(rows, Row(left.pop(0).title, None, None, 0, (str(error).partition("\n")[0],)))
        finally:
            with undisturbed():
                system.close()
        secrets = secrets or system.told_secrets()
    return rows, secrets


class Loads(threading.Thread):
    """Looks at how busy the machine is until `stop`."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._stop_it = threading.Event()
        self._seen = [os.getloadavg()[0]]
        self.start()

    def run(self) -> None:
        while not self._stop_it.wait(LOAD_EVERY_S):
            self._seen.append(os.getloadavg()[0])

    def stop(self) -> str:
        """A sentence."""
        self._stop_it.set()
        self.join()
        return f"{os.cpu_count()} cores, whose load went from {min(self._seen):.1f} to {max(self._seen):.1f}."


def _add(rows: list[Row], row: Row) -> Row:
    rows.append(row)
    print(" | ".join(cells(row)), flush=True)
    return row


def _summary(rows: Sequence[Row], seconds: float) -> str:
    failed = sum(not row.passed for row in rows)
    passed = f"all {len(rows)} passed" if not failed else f"{failed} of {len(rows)} failed"
    return f"Measured on {date.today().isoformat()} in one run of {seconds / 60:.0f} minutes: {passed}."


if __name__ == "__main__":
    sys.exit(main())
