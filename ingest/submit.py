"""`dfd submit`: puts files on the bulk queue, each content once."""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from redis import Redis
from redis.exceptions import OutOfMemoryError
from rich.console import Console
from rich.progress import track

from dfd_core import wire
from dfd_core.broker import connect
from dfd_core.bulk import BulkFile, BulkQueue
from dfd_core.errors import DataError, QueueError, VideoError
from dfd_core.files import find_files
from dfd_core.models.store import model_folder, model_name, read_card, sha256_of
from dfd_core.settings import BulkSettings, Settings

HELP = "put files on the bulk queue"
EXAMPLES = """examples:
  dfd submit clip.mp4 portrait.jpg --redis redis://queue:6379/0
  dfd submit --recursive /mnt/cases/2026-11 --set bulk.roots=/mnt/cases
  dfd submit --manifest cases.csv              # a column 'file'; the others come back in the results
  dfd submit --upload clip.mp4                 # where workers cannot open the path: its content goes through Redis

Then: dfd jobs --watch, dfd results. A content that the model has scored already is not scored again.
Exit code: 0, or 1 if any file was left out."""
FILE_COLUMN = "file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `dfd submit`."""
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="video, image or folder")
    parser.add_argument("--manifest", type=Path, metavar="CSV", help="files in its column 'file', relative to it")
    parser.add_argument("--recursive", action="store_true", help="search folders in depth")
    parser.add_argument("--upload", action="store_true", help="send the files' content, not their paths")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Submit all; a file that cannot be is told of, and the others go on."""
    wanted = list(_wanted(args))
    if not wanted:
        raise VideoError("There is no video or image to submit: give files, folders (--recursive) or --manifest.")
    redis, console = connect(settings.redis), Console(stderr=True)
    card = read_card(model_folder(settings.model.path))
    submission = _Submission(redis, settings.bulk, model_name(card), args.upload)
    files, left_out = [], 0
    for path, columns in track(wanted, "reading", console=console, transient=True, disable=not sys.stderr.isatty()):
        try:
            files.append(submission.file_of(path, columns))
        except (OSError, VideoError, QueueError) as error:
            left_out += 1
            reason = f"{path} cannot be read ({error.strerror})." if isinstance(error, OSError) else str(error)
            print(f"dfd: {reason}", file=sys.stderr)
    queued = BulkQueue(redis).submit(files)
    known, rest = len(files) - queued, f", {left_out} left out" if left_out else ""
    print(f"{queued} queued, {known} known already (same content and model){rest}")
    return 1 if left_out else 0


class _Submission:
    """Makes the records of files, and uploads what shall be."""

    def __init__(self, redis: Redis, settings: BulkSettings, model: str, upload: bool) -> None:
        self._redis, self._settings, self._model, self._upload = redis, settings, model, upload

    def file_of(self, path: Path, columns: dict[str, str]) -> BulkFile:
        """VideoError or OSError for one that cannot be read, QueueError for one that workers would not open."""
        absolute = path.expanduser().resolve()
        if not absolute.is_file():
            raise VideoError(
                f"{path} is not a file: check its name (folders need --recursive only for what is deeper)."
            )
        size = absolute.stat().st_size
        if self._upload and size > self._settings.upload_bytes:
            raise QueueError(
                f"{path} has {size / 1e6:.0f} MB, and bulk.upload_bytes is {self._settings.upload_bytes / 1e6:.0f} MB: "
                "submit its path, or raise the limit."
            )
        place = "" if self._upload else self._place(path, absolute)
        file = BulkFile(str(path), place, sha256_of(absolute), size, self._model, time.time(), columns)
        if self._upload:
            self._send(file, absolute)
        return file

    def _place(self, path: Path, absolute: Path) -> str:
        if not self._settings.roots:
            return str(absolute)
        for root in (Path(root).expanduser().resolve() for root in self._settings.roots.split(os.pathsep)):
            if absolute.is_relative_to(root):
                return str(absolute.relative_to(root))
        raise QueueError(
            f"{path} is below none of bulk.roots ({self._settings.roots}): move it there, or use --upload."
        )

    def _send(self, file: BulkFile, path: Path) -> None:
        try:
            self._redis.set(wire.upload_key(file.digest), path.read_bytes(), px=int(self._settings.upload_ttl_s * 1000))
        except OutOfMemoryError:
            raise QueueError(f"Redis has no room for {file.path}: wait for the workers, or submit its path.") from None


def _wanted(args: argparse.Namespace) -> Iterator[tuple[Path, dict[str, str]]]:
    """Each file once, with the other columns of the manifest that named it."""
    named = dict(read_manifest(args.manifest)) if args.manifest else {}
    named.update((path, named.get(path, {})) for path in find_files(args.paths, deep=args.recursive))
    yield from named.items()


def read_manifest(path: Path) -> Sequence[tuple[Path, dict[str, str]]]:
    """Files (relative ones from the manifest's folder) and their other columns; DataError for one without `file`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            rows = list(csv.DictReader(handle))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The manifest {path} cannot be read ({error}).") from None
    if not rows or FILE_COLUMN not in rows[0]:
        raise DataError(f"The manifest {path} needs a header with a column '{FILE_COLUMN}', and rows.")
    return [
        (path.parent / row[FILE_COLUMN], {k: v or "" for k, v in row.items() if k and k != FILE_COLUMN})
        for row in rows
        if row[FILE_COLUMN]
    ]
