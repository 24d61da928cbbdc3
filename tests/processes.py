"""Several processes run the tests, a file each at a time (`pytest -n 2 --dist loadfile`).

Which files go first is said here, and what becomes of the tests of a process that died.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling, Scheduling
from xdist.workermanage import WorkerController


class Files(LoadFileScheduling):
    """A file each at a time. What a process that dies leaves is run by another; `--reruns` decides of its last test.

    pytest-xdist's own hands out again what such a process had finished too: work without a test, for which all wait.
    """

    def remove_node(self, node: WorkerController) -> str | None:
        """Forget it; the test that it died of, if it did."""
        left = {scope: unit for scope, unit in self.assigned_work.pop(node).items() if not all(unit.values())}
        died_of = next((test for unit in left.values() for test, done in unit.items() if not done), None)
        if died_of is not None:
            left[self._split_scope(died_of)][died_of] = True
        self.workqueue.update({scope: unit for scope, unit in left.items() if not all(unit.values())})
        return died_of

    def mark_test_pending(self, item: str) -> None:  # type: ignore[override]  # theirs never returns
        """Run again the test that a process died of."""
        self.workqueue.setdefault(self._split_scope(item), {})[item] = False

    def _reschedule(self, node: WorkerController) -> None:
        if node in self.registered_collections:  # else it starts just now, in place of one that died
            super()._reschedule(node)


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist nobody calls it
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    return Files(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests, whole: what takes long must not be left for last, when one process has nothing to do."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, object, object]:
    """What a test printed may hold names in no known encoding, which pytest-xdist cannot send to another process."""
    return _encodable((yield))


def _encodable(data: object) -> object:
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode()
    if isinstance(data, dict):
        return {_encodable(key): _encodable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(map(_encodable, data))
    return data
