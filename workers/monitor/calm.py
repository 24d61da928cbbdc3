"""Says to ingest which live streams are calm; a canary never is, so that it shows what happens at full rate."""

from __future__ import annotations

from collections.abc import Mapping

from redis import Redis

from dfd_core.conditions import CalmNote
from dfd_core.queue.calm import tell_calm
from dfd_core.sections import AdaptiveSettings
from dfd_core.streams import StreamSpec
from dfd_core.types import StreamStatus
from workers.monitor.runs import Run

_TTL_S = 5.0  # beyond the longest time from one word to the next


class CalmTeller:
    """Writes what changed; a monitor that has just begun first takes back what an earlier one said."""

    def __init__(self, client: Redis, settings: AdaptiveSettings) -> None:
        self._client, self._settings = client, settings
        self._told: dict[str, CalmNote | None] = {}

    def tell(
        self, runs: Mapping[str, Run], specs: Mapping[str, StreamSpec], statuses: Mapping[str, StreamStatus]
    ) -> None:
        """Bring Redis to what these runs say now; raises RedisError, and then tells all the next time."""
        if not self._settings.gap_s:
            return
        notes = {name: run.calm.note(run.id) for name, run in runs.items() if not run.done}
        for name in notes:
            spec, status = specs.get(name), statuses.get(name)
            if status is None or not status.live or (spec is not None and spec.canary is not None):
                notes[name] = None
        changed = {name: note for name, note in notes.items() if name not in self._told or self._told[name] != note}
        if changed:
            tell_calm(self._client, changed, 2 * self._settings.gap_s + _TTL_S)
        self._told = notes
