"""`dfd evidence verify`: whether the files of a bundle are those that were written."""

from __future__ import annotations

import argparse
from pathlib import Path

from dfd_core.errors import DataError
from dfd_core.models.store import sha256_of
from dfd_core.names import one_line, utf8
from dfd_core.settings import Settings
from workers.evidence.bundle import MANIFEST, read_manifest

EXAMPLES = """examples:
  dfd evidence verify evidence/20260301T101500Z-door-5f2a…      # one bundle
  dfd evidence verify evidence                                  # all in a folder

Exit code 0: all are as they were written; 1: some are not. `sha256sum --check manifest.sha256` says the same of files
that are there. Who can change a file can change the manifest too: keep its own hash elsewhere, or sign it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A folder."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="a bundle, or a folder of bundles")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Say what is wrong, a line each; 1 if anything is."""
    folder: Path = args.folder
    bundles = (
        [folder] if (folder / MANIFEST).is_file() else sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    )
    if not bundles:
        raise DataError(f"No {MANIFEST} in {folder}, nor one folder below: name a bundle, or a folder of bundles.")
    wrong = 0
    for bundle in bundles:
        found = problems(bundle)
        wrong += bool(found)
        for problem in found or ["all files are as they were written"]:
            print(utf8(one_line(f"{bundle}: {problem}")))
    return 1 if wrong else 0


def problems(bundle: Path) -> list[str]:
    """What is not as the manifest says, a sentence's rest each: changed, missing, not named, no plain file."""
    try:
        wanted = read_manifest(bundle)
    except (OSError, ValueError) as error:
        return [f"its {MANIFEST} cannot be read ({error})"]
    found: list[str] = [] if wanted else [f"its {MANIFEST} names no file"]
    present = {path.relative_to(bundle).as_posix(): path for path in bundle.rglob("*") if not _is_folder(path)}
    for name, digest in wanted.items():
        path = present.pop(name, None)
        if path is None:
            found.append(f"{name} is missing")
        elif path.is_symlink() or not path.is_file():
            found.append(f"{name} is no plain file")
        elif sha256_of(path) != digest:
            found.append(f"{name} was changed")
    return found + [f"{name} was added" for name in sorted(present) if name != MANIFEST]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
