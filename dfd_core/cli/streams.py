"""`dfd streams`: what is read, and how it does; streams added, removed, paused and resumed on a running system."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from redis import Redis
from rich.table import Table

from dfd_core.conditions import Condition, as_seen
from dfd_core.console import PlainConsole, shown
from dfd_core.errors import SettingsError, WireError
from dfd_core.media import redact
from dfd_core.media.protocols import is_of_a_known_kind
from dfd_core.media.urls import scheme_of
from dfd_core.names import json_line
from dfd_core.queue import keys, records
from dfd_core.queue.broker import connect, told
from dfd_core.queue.clock import RedisClock
from dfd_core.queue.streams import Order, StreamRegistry
from dfd_core.settings import Settings
from dfd_core.streams import ADDRESSES, NUMBERS, StreamSpec, read_stream
from dfd_core.types import STOPPED, StreamStatus

EXAMPLES = """examples:
  dfd streams list --redis redis://queue:6379/0
  dfd streams add lobby --url-env LOBBY_URL --fps 4 --label site=north
  dfd streams pause lobby
"""
_OURS = ("synthetic", "watch")  # schemes that ingest reads without FFmpeg
ACTIONS = ("list", "add", "remove", "pause", "resume")
WAIT_S = 5.0  # for ingest to act, before it is said that none does
POLL_S = 0.1
RECENT_S = 3600.0  # streams that nobody wishes for are listed for so long after their end
_COLOURS = {Condition.LIVE: "green", Condition.PAUSED: "dim", Condition.ENDED: "dim", Condition.CONNECTING: "dim"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A stream as it is listed; times in Unix seconds."""

    stream: str
    condition: Condition
    since_at_s: float | None
    fps: float
    source: str  # redacted
    error: str | None
    labels: dict[str, str]
    numbers: dict[str, float]
    added: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `dfd streams`."""
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the stream; all of them where it is a list")
    parser.add_argument("--json", action="store_true", help="list as JSON, a stream a line")
    add = parser.add_argument_group("to add one")
    add.add_argument("--url", help="URL or path; it is kept in Redis, so it may hold no user, password or query")
    add.add_argument("--url-env", metavar="VARIABLE", help="variable of the ingest's machine that holds the URL")
    add.add_argument("--url-file", metavar="FILE", help="file of the ingest's machine whose first line is the URL")
    for key, setting in NUMBERS.items():
        add.add_argument(f"--{key.replace('_', '-')}", metavar="N", help=f"in place of {setting}")
    add.add_argument("--label", action="append", default=[], metavar="KEY=TEXT", help="shown in dfd_stream_info")
    add.add_argument("--live", choices=("true", "false"), help="a camera, or a file; by default it is found out")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """One action."""
    spec = _wished(args, settings) if args.action == "add" else None
    client = connect(settings.redis)
    try:
        with told(settings.redis):
            return _act(args, client, spec)
    finally:
        client.close()


def _act(args: argparse.Namespace, client: Redis, spec: StreamSpec | None) -> int:
    registry, console, name = StreamRegistry(client), PlainConsole(), args.name
    if args.action == "list":
        return _list(client, console, name, args.json)
    if not name:
        raise SettingsError(f"dfd streams {args.action} needs the NAME of a stream.")
    if spec is not None:
        asked_at_s = _now_s(client)
        registry.add(spec)
        reads = _soon(lambda: (status := _status(client, name)) is not None and status.heartbeat_at_s >= asked_at_s)
        return _told(console, reads, f"{name} is read now", f"{name} is wished for")
    order = {"pause": Order.PAUSED, "remove": Order.REMOVED, "resume": None}[args.action]
    registry.order(name, order)
    return _told(console, _soon(lambda: _obeyed(client, registry, name, order)), *_WORDS[order](name))


_WORDS: dict[Order | None, Callable[[str], tuple[str, str]]] = {
    Order.PAUSED: lambda name: (f"{name} is paused", f"{name} shall pause"),
    Order.REMOVED: lambda name: (f"{name} is removed", f"{name} is wished for no more"),
    None: lambda name: (f"{name} is read again", f"{name} shall be read again"),
}


def _now_s(client: Redis) -> float:
    """By the clock that all machines share."""
    clock = RedisClock(client)
    clock.look()
    return clock.now_s()


def _told(console: PlainConsole, done: bool, sentence: str, wish: str) -> int:
    """Say what has happened, or that it will once there is who does it."""
    late = f"{wish}, but no ingest acted within {WAIT_S:g} s: start one with `dfd ingest` (without SOURCE)"
    console.print(shown(f"{sentence if done else late}."), soft_wrap=True)
    return 0


def _soon(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(POLL_S)
    return True


def _obeyed(client: Redis, registry: StreamRegistry, name: str, order: Order | None) -> bool:
    if order is Order.REMOVED:
        return name not in registry.look().orders
    status = _status(client, name)
    return status is not None and (status.condition is Condition.PAUSED) == (order is Order.PAUSED)


def _status(client: Redis, name: str) -> StreamStatus | None:
    data: Any = client.hget(keys.STREAMS_KEY, name)
    try:
        return records.parse_status(data) if data else None
    except WireError:
        return None


def _wished(args: argparse.Namespace, settings: Settings) -> StreamSpec:
    """The stream that the flags describe; SettingsError where something is wrong, a secret for Redis too."""
    if not args.name:
        raise SettingsError("dfd streams add needs the NAME of a stream.")
    table: dict[str, object] = {key: value for key in (*ADDRESSES, *NUMBERS) if (value := getattr(args, key))}
    if args.live:
        table["live"] = args.live == "true"
    table["labels"] = _labels(args.label)
    return without_secret(read_stream(args.name, table, settings, f"`dfd streams add {args.name}`"))


def without_secret(spec: StreamSpec) -> StreamSpec:
    """`spec`, fit to be kept in Redis; SettingsError where its URL holds what is not for everybody, or nobody reads."""
    if scheme_of(spec.url) not in _OURS and not is_of_a_known_kind(spec.url):
        raise SettingsError(f"{redact(spec.url)} is of no kind that is read: docs/live.md names those that are.")
    if spec.url and redact(spec.url) != spec.url and not spec.url.startswith("synthetic://"):
        raise SettingsError(
            "The URL has a user, a password or a query, which all who read Redis could see: "
            "give --url-env VARIABLE or --url-file FILE, which ingest reads on its own machine."
        )
    return spec


def _labels(pairs: Sequence[str]) -> dict[str, str]:
    labels = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise SettingsError(f"--label takes KEY=TEXT, not '{pair}'.")
        labels[key] = text
    return labels


def _list(client: Redis, console: PlainConsole, name: str | None, as_json: bool) -> int:
    listed = [one for one in listing(client, _now_s(client)) if name in (None, one.stream)]
    if name and not listed:
        raise SettingsError(f"There is no stream {name}: `dfd streams list` shows those that there are.")
    if as_json:
        for one in listed:
            print(json_line(asdict(one)))
        return 0
    table = Table("stream", "state", "since", "fps", "source", "labels", "last error")
    for one in listed:
        table.add_row(
            shown(one.stream),
            shown(one.condition, _COLOURS.get(one.condition, "yellow")),
            "-" if one.since_at_s is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.since_at_s)),
            f"{one.fps:.1f}",
            shown(one.source),
            shown(" ".join(f"{key}={text}" for key, text in one.labels.items())),
            shown(one.error or ""),
        )
    console.print(table)
    return 0


def listing(client: Redis, now_s: float) -> list[Listed]:
    """Every stream that is wished for, or was read of late, by name."""
    specs = StreamRegistry(client).look().specs
    statuses: dict[str, StreamStatus] = {}
    raw: Any = client.hgetall(keys.STREAMS_KEY)
    for data in raw.values():
        try:
            status = records.parse_status(data)
        except WireError:
            continue
        if status.stream in specs or now_s - status.heartbeat_at_s < RECENT_S:
            statuses[status.stream] = status
    return [_listed(name, specs.get(name), statuses.get(name), now_s) for name in sorted({*specs, *statuses})]


def _listed(name: str, spec: StreamSpec | None, status: StreamStatus | None, now_s: float) -> Listed:
    spec = spec or StreamSpec(name)
    if status is None:
        condition = Condition.OFFLINE if spec.enabled else Condition.PAUSED
        error = "no ingest reads it" if spec.enabled else None
        return Listed(name, condition, None, 0.0, "", error, spec.labels, spec.numbers, spec.added)
    condition, since_at_s = as_seen(status.condition, status.since_at_s, status.heartbeat_at_s, now_s)
    silent = condition is not status.condition
    error = "nothing is heard of its ingest" if silent else None if status.error == STOPPED else status.error
    fps = 0.0 if silent else status.fps
    return Listed(name, condition, since_at_s, fps, status.source, error, spec.labels, spec.numbers, spec.added)
