"""`pytest --skips FILE`: a test may skip only for a reason that the file announces, a regular expression a line."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--skips", type=Path, metavar="FILE", help="reasons to skip; any other skip is a failure")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _judged(report, item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _judged(report, collector.config)


def _judged(report: Report, config: pytest.Config) -> Report:
    path: Path | None = config.getoption("--skips")
    if path is None or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    if not any(re.search(line, reason) for line in lines if line and not line.startswith("#")):
        report.outcome = "failed"
        report.longrepr = f"{reason}\nNobody announced that this test would skip: see {path}."
    return report
