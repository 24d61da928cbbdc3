"""`dfd jobs cancel`: files that shall not be scored after all."""

from __future__ import annotations

import argparse

from dfd_core.queue.broker import connect, told
from dfd_core.queue.bulk import BulkQueue
from dfd_core.queue.submitted import BulkState
from dfd_core.settings import Settings
from workers.bulk.choice import add_choice, chosen

EXAMPLES = """examples:
  dfd jobs cancel clips/a.mp4
  dfd jobs cancel --all            # one that is being scored stops at its next frame"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Paths, or --all."""
    add_choice(parser, "every file without a report")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Cancel them and tell how many."""
    book = BulkQueue(connect(settings.redis))
    with told(settings.redis):
        entries = chosen(args, book, set(BulkState) - {BulkState.DONE})
        print(f"{book.cancel(entry.file for entry in entries)} cancelled")
    return 0
