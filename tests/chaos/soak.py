"""A system that runs for long, with a random fault each minute, and files beside its cameras.

    python -m tests.chaos.soak --minutes 60 --streams 4          # make soak MINUTES=60 STREAMS=4
    python -m tests.chaos.soak --minutes 10 --streams 1 --quiet  # no faults: whether memory stays flat

Exit code 0 where all memory ends as flat as it began, every fault was seen and survived, and no verdict of a file was
lost. With --write the result goes into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from tests.chaos.fault import Fault, Row, attempted
from tests.chaos.faults import FAULTS
from tests.chaos.files import Files
from tests.chaos.memory import Memory
from tests.chaos.report import PAGE, cells, put, table
from tests.chaos.spawned import ends_in_order, undisturbed
from tests.chaos.system import System

EVERY_S = 60.0
WARM_S = 60.0  # before memory is looked at


def main(words: Sequence[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quiet", action="store_true", help="no faults and no files")
    parser.add_argument("--write", action="store_true", help=f"put the result into {PAGE.name}")
    args = parser.parse_args(words)
    folder = Path(tempfile.mkdtemp(prefix="dfd-soak-"))
    system = System(folder, args.streams, repeat=round(args.minutes) + 30)
    with ends_in_order():
        try:
            system.start()
            wrong, text = _soak(system, args)
        finally:
            with undisturbed():
                system.close()
    if system.told_secrets():
        wrong.append("a password was printed or written")
    text += f"\n{'Wrong: ' + '; '.join(wrong) if wrong else 'Nothing was lost.'}\n"
    print(text)
    if args.write:
        put(PAGE, "quiet" if args.quiet else "soak", text)
    print(f"What was printed: {folder}")
    return 1 if wrong else 0


def _soak(system: System, args: argparse.Namespace) -> tuple[list[str], str]:
    files = None if args.quiet else Files(system)
    if files is not None:
        files.start()
    time.sleep(WARM_S)
    memory = Memory(system)
    memory.start()
    rows = _put_in(system, args)
    memory.stop()
    memory.write(system.folder / "memory.csv")
    wrong = [f"{row.name}: {', '.join(row.wrong)}" for row in rows if row.wrong]
    wrong += memory.grew()
    text = f"{date.today().isoformat()}, {os.cpu_count()} cores, {args.streams} RTSP streams, {args.minutes:g} minutes"
    if files is not None:
        files.stop()
        wrong += files.wrong()
        text += f", {len(rows)} faults (seed {args.seed}), {files.read} readings of a file beside them"
        text += (
            f" ({files.refused} more were refused by a Redis that was away, and begun again)" if files.refused else ""
        )
    held = [(role, *(f"{n / 1e6:.1f} MB" for n in (first, last))) for role, first, last, _ in memory.rows()]
    text += f".\n\n{table(held, ('memory of', 'at the beginning', 'at the end'))}"
    return wrong, text + (f"\n{table([cells(row) for row in rows])}" if rows else "")


def _put_in(system: System, args: argparse.Namespace) -> list[Row]:
    """A fault each minute until the time is over."""
    chance, ends_at, rows = random.Random(args.seed), time.monotonic() + 60 * args.minutes, []
    faults: list[Fault] = [fault for fault in FAULTS if fault.soaks and not fault.missing()]
    while (left_s := ends_at - time.monotonic()) > 0:
        next_at = time.monotonic() + min(EVERY_S, left_s)
        if not args.quiet and left_s >= EVERY_S:
            system.choose(chance.randrange(args.streams))
            rows.append(attempted(chance.choice(faults), system))
            print(" | ".join(cells(rows[-1])), flush=True)
        time.sleep(max(0.0, next_at - time.monotonic()))
    return rows


if __name__ == "__main__":
    sys.exit(main())
