"""`dfd jobs retry`: files that failed, once more."""

from __future__ import annotations

import argparse

from dfd_core.queue.broker import connect, told
from dfd_core.queue.bulk import BulkQueue
from dfd_core.queue.submitted import BulkState
from dfd_core.settings import Settings
from workers.bulk.choice import add_choice, chosen

EXAMPLES = """examples:
  dfd jobs retry clips/a.mp4
  dfd jobs retry --all             # every file that failed, waits for another attempt, or got lost"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Paths, or --all."""
    add_choice(parser, "every failed file")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Queue them again and tell how many."""
    book = BulkQueue(connect(settings.redis))
    with told(settings.redis):
        entries = chosen(args, book, {BulkState.FAILED, BulkState.RETRYING, BulkState.LOST})
        print(f"{book.retry(entry.file for entry in entries)} queued again")
    return 0
