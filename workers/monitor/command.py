"""`dfd monitor`: one process that reads all results of a Redis."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TextIO

from prometheus_client import CollectorRegistry
from redis import Redis
from redis.exceptions import RedisError

from dfd_core.process.logs import start_logging
from dfd_core.process.metrics_server import serve_metrics
from dfd_core.process.signals import stop_on_signals
from dfd_core.queue import keys
from dfd_core.queue.alarms import AlarmBook
from dfd_core.queue.boards import publish_boards
from dfd_core.queue.broker import REDIS_AWAY, connect, open_client, trouble
from dfd_core.queue.lease import Lease, new_owner
from dfd_core.settings import Settings
from workers.monitor.keeper import Keeper
from workers.monitor.metrics import MonitorMetrics
from workers.monitor.monitor import Monitor
from workers.monitor.notices import Row, metrics_line, rows_line
from workers.monitor.outside import check_outside, open_outside
from workers.monitor.sinks import AlarmSink, Count, JsonlSink, LineSink, RedisSink, Sink
from workers.monitor.traces import Traces, open_traces

EXAMPLES = """examples:
  dfd monitor --redis redis://host:6379/0
  dfd monitor --verdicts verdicts.jsonl --json"""

SILENT_S = 3.0  # Redis counts as away after that: an alert shall know soon
WAIT_S = 0.5  # between two looks at another monitor's lease
PATIENCE_S = 2.5  # so long nobody has it before a waiting monitor takes it: the one that had it may be back first
START_AGAIN_S = 1.0

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `dfd monitor`."""
    parser.add_argument(
        "--verdicts", type=Path, metavar="FILE", help="append verdicts to this file, a JSON object a line"
    )
    parser.add_argument("--json", action="store_true", help="print verdicts as JSON lines")
    parser.add_argument("--rows", action="store_true", help=argparse.SUPPRESS)  # JSON lines for the table of dfd watch


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Monitor until SIGINT or SIGTERM."""
    check_outside(settings)
    start_logging(settings.log)
    client = connect(settings.redis, SILENT_S)
    traces = open_traces(settings.log)
    lease = Lease(client, keys.MONITOR_LEASE_KEY, new_owner())
    try:
        _close(_open_sinks(args, client, _no_count))  # what cannot be written is told before anybody waits
        registry = CollectorRegistry()
        metrics = MonitorMetrics(registry)
        port = serve_metrics(
            registry, settings.metrics.host, settings.metrics.monitor_port, settings.metrics.token_file
        )
        if port is not None:
            url = f"http://{settings.metrics.host}:{port}/metrics"
            print(metrics_line(url) if args.rows else f"metrics at {url}", file=_chat(args), flush=True)
        shift = _Shift(args, settings, client, metrics, traces)
        with stop_on_signals() as stop:
            while wait_for_turn(lease, stop, metrics, log.warning):
                shift.work(stop, lease)
        with suppress(RedisError):
            lease.release()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read our lines has gone
    finally:
        traces.close()
        client.close()
    return 0


class _Shift:
    """What a monitor needs for as long as the lease is its own."""

    def __init__(
        self, args: argparse.Namespace, settings: Settings, client: Redis, metrics: MonitorMetrics, traces: Traces
    ) -> None:
        self._args, self._settings, self._client = args, settings, client
        self._metrics, self._traces = metrics, traces

    def work(self, stop: threading.Event, lease: Lease) -> None:
        """Until `stop` is set, or the lease is another's."""
        keeper = Keeper(open_client(self._settings.redis))
        sinks = _open_sinks(self._args, self._client, self._metrics.told)
        keeper.start()
        try:
            lasting = AlarmBook(self._client).lasting()
            sinks += open_outside(self._settings, lasting.keys(), self._metrics.told)
            start = partial(Monitor, self._client, self._settings, sinks, self._metrics, log.warning)
            monitor = start(traces=self._traces)
            if not monitor.run(stop, partial(_look, self._client, monitor, self._args.rows), lease.hold):
                log.warning("Another monitor has taken over: this one waits until it ends.")
        except REDIS_AWAY as error:  # it went while the monitor started
            log.warning("Redis %s; the monitor starts again.", trouble(error))
            self._metrics.redis(up=False)
            stop.wait(START_AGAIN_S)
        finally:
            keeper.stop()
            _close(sinks)


def wait_for_turn(lease: Lease, stop: threading.Event, metrics: MonitorMetrics, report: Callable[[str], None]) -> bool:
    """Until no other monitor works on this Redis; false if told to stop before."""
    waited_for = ""
    free_s = PATIENCE_S  # nobody had it at the last look
    while not stop.is_set():
        try:
            holder = lease.holder()
            free_s = 0.0 if holder is not None else free_s + WAIT_S
            if (not waited_for or free_s >= PATIENCE_S) and lease.hold():
                metrics.active(active=True)
                return True
            metrics.redis(up=True)
        except REDIS_AWAY:
            metrics.redis(up=False)
            holder, free_s = None, 0.0
        metrics.active(active=False)
        if holder is not None and holder != waited_for:
            report(f"Another monitor ({holder}) works on this Redis: this one takes over when it ends.")
            waited_for = holder
        stop.wait(WAIT_S)
    return False


def _open_sinks(args: argparse.Namespace, client: Redis, count: Count) -> list[Sink]:
    sinks: list[Sink] = [JsonlSink(args.verdicts, count)] if args.verdicts else []
    return [*sinks, RedisSink(client), AlarmSink(client), LineSink(as_json=args.json or args.rows, count=count)]


def _close(sinks: Iterable[Sink]) -> None:
    for sink in sinks:
        sink.close()


def _no_count(sink: str, outcome: str) -> None:
    pass


def _chat(args: argparse.Namespace) -> TextIO:
    """Where to say what is no verdict: not among JSON lines for others."""
    return sys.stderr if args.json and not args.rows else sys.stdout


def _look(client: Redis, monitor: Monitor, as_lines: bool, rows: list[Row]) -> None:
    publish_boards(client, monitor.boards())
    if as_lines:
        print(rows_line(rows), flush=True)
