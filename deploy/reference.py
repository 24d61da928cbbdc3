"""Writes docs/metrics.md and docs/settings.md from the code: python deploy/reference.py [FOLDER]"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from dfd_core.settings import Settings
from ingest.metrics import StreamCollector
from workers.bulk.metrics import BulkMetrics
from workers.evidence.metrics import EvidenceMetrics
from workers.monitor.metrics import MonitorMetrics
from workers.serve.metrics import ServeMetrics
from workers.windows.metrics import WorkerMetrics

DOCS = Path(__file__).parents[1] / "docs"
_FIELD = re.compile(r"^ {4}(?P<key>\w+): (?P<kind>[^=]+?) = (?P<default>.+?)(?:  # (?P<what>.*))?$")


class Listing(CollectorRegistry):
    """A registry that remembers what was registered."""

    def __init__(self) -> None:
        super().__init__(auto_describe=False)
        self.collectors: list[Collector] = []

    def register(self, collector: Collector) -> None:
        """Remember it."""
        self.collectors.append(collector)


def metrics_page() -> str:
    """Every metric of every program, in Markdown."""
    programs = {
        "`dfd ingest`: the sources": lambda registry: StreamCollector(lambda: (), registry),
        "`dfd work`: a worker of windows": WorkerMetrics,
        "`dfd work`: a worker of files": BulkMetrics,
        "`dfd monitor`": MonitorMetrics,
        "`dfd evidence`": EvidenceMetrics,
        "`dfd serve`": ServeMetrics,
    }
    parts = [
        "# Metrics",
        "What each program serves at its own `/metrics`; streams are told by their names, never by their URLs.\n"
        "Written by `python deploy/reference.py`: change the code, not this page.",
    ]
    for title, make in programs.items():
        registry = Listing()
        make(registry)
        rows = [row for collector in registry.collectors for row in _metrics_of(collector)]
        parts.append(f"## {title}\n\n| metric | kind | labels | what |\n|---|---|---|---|\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _metrics_of(collector: Collector) -> Iterator[str]:
    describe = getattr(collector, "describe", collector.collect)
    for metric in describe():
        labels = getattr(metric, "_labelnames", ()) or getattr(collector, "_labelnames", ())
        name = metric.name + {"counter": "_total", "info": "_info"}.get(metric.type, "")
        shown = ", ".join(f"`{label}`" for label in labels)
        yield f"| `{name}` | {metric.type} | {shown} | {metric.documentation.rstrip('.')} |"


def settings_page() -> str:
    """Every setting, in Markdown."""
    parts = [
        "# Settings",
        "From one TOML file (`--config`), then the environment (`DFD_SECTION_KEY`), then flags\n"
        "(`--set section.key=value`). Written by `python deploy/reference.py`: change the code, not this page.",
    ]
    for section in fields(Settings):
        kind = section.default_factory
        assert isinstance(kind, type)
        rows = [_setting(match) for line in _source(kind) if (match := _FIELD.match(line))]
        table = "| key | kind | default | what |\n|---|---|---|---|\n" + "\n".join(rows)
        rules = "".join(f"\n- {rule}" for rule in _rules(kind))
        parts.append(
            f"## [{section.name}]\n{inspect.getdoc(kind)}\n\n{table}" + (f"\n\nRules:{rules}" if rules else "")
        )
    return "\n\n".join(parts) + "\n"


def _source(kind: type) -> list[str]:
    return textwrap.dedent(inspect.getsource(kind)).splitlines()


def _setting(match: re.Match[str]) -> str:
    what = (match["what"] or "").replace("|", "\\|")
    return f"| `{match['key']}` | {match['kind'].replace('|', 'or')} | `{match['default']}` | {what} |"


def _rules(kind: type) -> list[str]:
    """The sentences that a wrong value is answered with."""
    tree = ast.parse("\n".join(_source(kind)))
    judges = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "_judge"]
    pairs = [node.elts for judge in judges for node in ast.walk(judge) if isinstance(node, ast.Tuple)]
    rules = [pair[1] for pair in pairs if len(pair) == 2 and not isinstance(pair[0], ast.Constant)]
    return [rule.value for rule in rules if isinstance(rule, ast.Constant) and isinstance(rule.value, str)]


def main(words: Sequence[str]) -> None:
    """Write both pages into the folder, docs/ by default."""
    folder = Path(words[0]) if words else DOCS
    (folder / "metrics.md").write_text(metrics_page(), encoding="utf-8")
    (folder / "settings.md").write_text(settings_page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
