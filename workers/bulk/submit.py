"""`dfd submit`: puts files on the bulk queue, each content once."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from redis import Redis
from redis.exceptions import OutOfMemoryError
from rich.progress import track

from dfd_core.console import PlainConsole
from dfd_core.errors import QueueError, VideoError
from dfd_core.judging.manifests import FILE, read_manifest
from dfd_core.media.files import search_files
from dfd_core.models.store import model_folder, model_name, read_card, sha256_of
from dfd_core.names import one_line, without_secrets
from dfd_core.queue.broker import connect, patiently, told
from dfd_core.queue.bulk import BulkQueue
from dfd_core.queue.submitted import BulkFile
from dfd_core.settings import Settings

EXAMPLES = """examples:
  dfd submit clip.mp4 portrait.jpg --redis redis://queue:6379/0
  dfd submit --recursive /mnt/cases/2026-11 --set bulk.roots=/mnt/cases
  dfd submit --manifest cases.csv              # a column 'file'; the others come back in the results
  dfd submit --upload clip.mp4                 # where workers cannot open the path: its content goes through Redis

Then: dfd jobs --watch, dfd results. A content that the model has scored already is not scored again; one that failed or
got lost is queued anew. Each row of a manifest has a result of its own.
Exit code: 0, or 1 if any file was left out."""


class _Wanted(NamedTuple):
    """A file to submit, and the row that named it."""

    path: Path
    columns: dict[str, str]
    manifest: str = ""
    nth: int = 0


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
    redis, console = connect(settings.redis), PlainConsole(stderr=True)
    card = read_card(model_folder(settings.model.path))
    submission = _Submission(redis, settings, model_name(card), args.upload)
    left_out = 0
    with told(settings.redis):
        for each in track(wanted, "reading", console=console, transient=True, disable=not sys.stderr.isatty()):
            try:
                submission.take(each)
            except (OSError, ValueError, VideoError, QueueError) as error:
                left_out += 1
                _report(_why(each.path, error))
        submission.flush()
    known, rest = submission.files - submission.queued, f", {left_out} left out" if left_out else ""
    print(f"{submission.queued} queued, {known} known already (same content and model){rest}")
    return 1 if left_out else 0


def _report(text: str) -> None:
    print(f"dfd: {one_line(without_secrets(text))}", file=sys.stderr)


def _why(path: Path, error: Exception) -> str:
    if isinstance(error, VideoError | QueueError):
        return str(error)
    return f"{path} cannot be read ({error.strerror if isinstance(error, OSError) else error})."


class _Submission:
    """Queues files: uploads one by one, places all at the end; `queued` counts those that were not known."""

    def __init__(self, redis: Redis, settings: Settings, model: str, upload: bool) -> None:
        self._book, self._settings, self._model, self._upload = BulkQueue(redis), settings.bulk, model, upload
        self._patience_s = settings.queue.full_timeout_s
        self._taken: list[BulkFile] = []
        self.queued = 0

    @property
    def files(self) -> int:
        """How many were taken."""
        return len(self._taken)

    def take(self, wanted: _Wanted) -> None:
        """OSError, ValueError or VideoError for what cannot be read, QueueError for what no worker would open."""
        path, absolute = wanted.path, Path(os.path.realpath(wanted.path))
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
        digest, row = sha256_of(absolute), (wanted.columns, wanted.manifest, wanted.nth)
        file = BulkFile(str(path), place, digest, size, self._model, time.time(), str(absolute), *row)
        if self._upload:
            self._send(file, absolute)
        self._taken.append(file)

    def flush(self) -> None:
        """Queue the places."""
        if not self._upload:
            self.queued += patiently(partial(self._book.submit, self._taken), self._patience_s, time.sleep, _report)

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
        self.queued += patiently(partial(self._put, file, path), self._patience_s, time.sleep, _report)

    def _put(self, file: BulkFile, path: Path) -> int:
        try:
            return self._book.submit_upload(file, path.read_bytes, self._settings.upload_ttl_s)
        except OutOfMemoryError:
            raise QueueError(f"Redis has no room for {file.path}: wait for the workers, or submit its path.") from None


def _wanted(args: argparse.Namespace) -> Iterator[_Wanted]:
    """Each row of the manifest, and each file besides once."""
    seen = set()
    if args.manifest:
        place, equal = os.path.realpath(args.manifest), Counter[str]()
        for row in read_manifest(args.manifest):
            path = args.manifest.parent / row[FILE]
            columns = {name: value for name, value in row.items() if name != FILE}
            seen.add(os.path.abspath(path))
            yield _Wanted(path, columns, place, equal[repr(row)])
            equal[repr(row)] += 1
    found = search_files(args.paths, deep=args.recursive)
    if found.left_out:
        print(f"dfd: {found.sentence()}", file=sys.stderr)
    yield from (_Wanted(path, {}) for path in found.files if os.path.abspath(path) not in seen)
