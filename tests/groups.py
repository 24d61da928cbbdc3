"""Which tests stay together when several processes run them (`pytest -n 2 --dist loadgroup`), and which go first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator

import pytest

KERAS = "keras"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A file's tests share its fixtures, those that need Keras its process; what takes long must not be left for last.

    Without pytest-xdist nothing is moved.
    """
    if not config.pluginmanager.hasplugin("xdist"):
        return
    groups: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        name = KERAS if "in_keras" in getattr(item, "fixturenames", ()) else item.path.name
        item.add_marker(pytest.mark.xdist_group(name))
        groups[name].append(item)
    quick = [name for name, members in groups.items() if not any(m.get_closest_marker("slow") for m in members)]
    order = [name for name in groups if name not in quick] + quick
    items[:] = [item for name in order for item in groups[name]]


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
