"""`dfd monitor`: one process that reads all results of a Redis."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import TextIO

from prometheus_client import CollectorRegistry
from redis import Redis

from dfd_core.errors import QueueError
from dfd_core.process.logs import start_logging
from dfd_core.process.metrics_server import serve_metrics
from dfd_core.process.signals import stop_on_signals
from dfd_core.queue.boards import publish_boards
from dfd_core.queue.broker import REDIS_AWAY, connect, redact_redis, sentence
from dfd_core.settings import Settings
from workers.monitor.keeper import Keeper
from workers.monitor.metrics import MonitorMetrics
from workers.monitor.monitor import Monitor
from workers.monitor.notices import Row, metrics_line, rows_line
from workers.monitor.sinks import AlarmSink, JsonlSink, LineSink, RedisSink, Sink
from workers.monitor.traces import open_traces

EXAMPLES = """examples:
  dfd monitor --redis redis://host:6379/0
  dfd monitor --verdicts verdicts.jsonl --json"""

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
    start_logging(settings.log)
    client = connect(settings.redis)
    traces = open_traces(settings.log)
    keeper = Keeper(connect(settings.redis))
    sinks: list[Sink] = [RedisSink(client), AlarmSink(client), LineSink(as_json=args.json or args.rows)]
    try:
        if args.verdicts:
            sinks.insert(0, JsonlSink(args.verdicts))
        registry = CollectorRegistry()
        monitor = Monitor(client, settings, sinks, MonitorMetrics(registry), log.warning, traces=traces)
        port = serve_metrics(registry, settings.metrics.host, settings.metrics.monitor_port)
        if port is not None:
            url = f"http://{settings.metrics.host}:{port}/metrics"
            print(metrics_line(url) if args.rows else f"metrics at {url}", file=_chat(args), flush=True)
        keeper.start()
        with stop_on_signals() as stop:
            monitor.run(stop, partial(_look, client, monitor, args.rows))
    except REDIS_AWAY as error:
        raise QueueError(sentence(error, redact_redis(settings.redis.url))) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read our lines has gone
    finally:
        keeper.stop()
        traces.close()
        for sink in sinks:
            sink.close()
        client.close()
    return 0


def _chat(args: argparse.Namespace) -> TextIO:
    """Where to say what is no verdict: not among JSON lines for others."""
    return sys.stderr if args.json and not args.rows else sys.stdout


def _look(client: Redis, monitor: Monitor, as_lines: bool, rows: list[Row]) -> None:
    publish_boards(client, monitor.boards())
    if as_lines:
        print(rows_line(rows), flush=True)
