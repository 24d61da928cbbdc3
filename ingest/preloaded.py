"""What each process that reads a source needs, got ready once: they are forked from one process that has imported this.

That process runs no thread and does nothing but import, load the face networks and fork, so that a fork copies no lock
that is held. What is loaded here is memory that all readers share, and a reader starts in a tenth of a second.
"""

from __future__ import annotations

import gc
import signal
from contextlib import suppress

import ingest.sources.file
import ingest.sources.rtsp
import ingest.stream  # noqa: F401
from dfd_core.errors import ModelError
from dfd_core.faces.finder import preload_networks
from dfd_core.process.guard import end_with_starter
from dfd_core.process.memory import share_one_arena

share_one_arena()
with suppress(ModelError):  # each reader finds it again, and tells it
    preload_networks()
gc.collect()
gc.freeze()  # a collection in a reader would write into what is shared, and so copy it
end_with_starter()
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent to a whole group of processes, it is for the readers
