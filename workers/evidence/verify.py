"""`dfd evidence verify`: whether the files of a bundle are those that were written."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from dfd_core.errors import DataError
from dfd_core.names import one_line, utf8
from dfd_core.settings import Settings
from workers.evidence.bundle import MANIFEST
from workers.evidence.integrity import problems
from workers.evidence.places import is_remote, remote_problems

EXAMPLES = """examples:
  dfd evidence verify evidence/20260301T101500Z-door-5f2a…      # one bundle
  dfd evidence verify evidence                                  # all in a folder

Exit code 0: all are as they were written; 1: some are not. `sha256sum --check manifest.sha256` says the same of files
that are there. Who can change a file can change the manifest too: keep its own hash elsewhere, or sign it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A folder."""
    parser.add_argument("folder", metavar="DIR", help="a bundle, a folder of bundles, or a URL of either")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Say what is wrong, a line each; 1 if anything is."""
    found = list(remote_problems(args.folder) if is_remote(args.folder) else _local(Path(args.folder)))
    if not found:
        raise DataError(f"No {MANIFEST} in {args.folder}, nor one folder below: name a bundle, or a folder of bundles.")
    for bundle, wrong in found:
        for problem in wrong or ["all files are as they were written"]:
            print(utf8(one_line(f"{bundle}: {problem}")))
    return 1 if any(wrong for _, wrong in found) else 0


def _local(folder: Path) -> Iterator[tuple[str, list[str]]]:
    manifests = [folder / MANIFEST] if (folder / MANIFEST).is_file() else sorted(folder.glob(f"*/{MANIFEST}"))
    yield from ((str(path.parent), problems(path.parent)) for path in manifests)
