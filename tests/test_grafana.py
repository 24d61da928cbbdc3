"""The dashboards: built from code, held against the metrics that exist, their PromQL parsed by promtool."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.served import by_evidence, by_ingest, by_the_monitor, by_the_server, by_workers
from tests.test_alerts import PROMETHEUS, tool

yaml = pytest.importorskip("yaml", reason="needs pyyaml: pip install dfd[dev]")
pytest.importorskip("grafana_foundation_sdk", reason="needs grafana-foundation-sdk: pip install dfd[dev]")

GRAFANA = PROMETHEUS.parent / "grafana"
BOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
ALERTS = GRAFANA / "provisioning" / "alerting" / "dfd.json"
_LABELS_OF_SCRAPES = {"job", "instance"}
_SUFFIXES = ("_bucket", "_sum", "_count", "_created")


def expressions(node: Any) -> Iterator[str]:
    """Every PromQL expression in a JSON document."""
    if isinstance(node, dict):
        if isinstance(node.get("expr"), str):
            yield node["expr"]
        for value in node.values():
            yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)


def of_all_files() -> list[str]:
    return [expr for path in [*BOARDS, ALERTS] for expr in expressions(json.loads(path.read_text()))]


def rules() -> str:
    return "".join(path.read_text() for path in sorted((PROMETHEUS / "rules").glob("*.yml")))


def served() -> dict[str, set[str]]:
    everything: dict[str, set[str]] = {}
    for part in (by_the_monitor(), by_ingest(), by_workers(), by_evidence(), by_the_server()):
        for name, labels in part.items():
            everything[name] = everything.get(name, set()) | labels
    return everything


def test_what_is_committed_is_what_the_code_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(GRAFANA))
    spec = importlib.util.spec_from_file_location("grafana_build", GRAFANA / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    sys.modules.pop("panels", None)
    for path, text in build.files().items():
        assert (GRAFANA / path).read_text() == text, "run: python deploy/grafana/build.py"


def test_boards_have_what_grafana_needs() -> None:
    boards = [json.loads(path.read_text()) for path in BOARDS]
    assert [board["uid"] for board in boards] == ["dfd-detector", "dfd-fleet", "dfd-overview", "dfd-stream"]
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "dfd.yml").read_text())["datasources"][0]
    assert yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "dfd.yml").read_text())["providers"]
    for board in boards:
        assert board["panels"]
        for panel in board["panels"]:
            assert panel["title"]
            assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {source["uid"]}
        places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]]
        assert len(set(places)) == len(places), "two panels lie on each other"


def test_panels_and_alerts_use_metrics_and_labels_that_exist() -> None:
    known, recorded = served(), set(re.findall(r"record: (\S+)", rules()))
    for expr in of_all_files():
        used = set(re.findall(r"\bdfd[_:][a-z0-9_:]+", expr))
        assert used <= set(known) | recorded, expr
        for name, matchers in re.findall(r"\b(dfd_[a-z0-9_]+)\{([^}]*)\}", expr):
            assert set(re.findall(r"(\w+)=", matchers)) - _LABELS_OF_SCRAPES <= known[name], expr
    for path in BOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                names = re.findall(r"\b(dfd_[a-z0-9_]+)", target["expr"])
                shown = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", ""))) - _LABELS_OF_SCRAPES - {"le"}
                assert not names or shown <= set().union(*(known[name] for name in names)), panel["title"]


def test_every_metric_is_looked_at_somewhere() -> None:
    told = " ".join([rules(), *of_all_files()])
    for name in served():
        stem = next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)
        assert re.search(rf"\b{stem}", told), f"no panel and no rule looks at {name}"


def test_every_expression_is_promql(tmp_path: Path) -> None:
    filled = [
        re.sub(r"\$__rate_interval", "1m", expr).replace("$stream", ".+") for expr in dict.fromkeys(of_all_files())
    ]
    assert len(filled) > 30
    assert not [expr for expr in filled if "$" in expr]
    records = [{"record": f"check:{number}", "expr": expr} for number, expr in enumerate(filled)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "check", "rules": records}]}))
    done = subprocess.run(
        [tool("promtool"), "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_two_programs_serve_is_counted_once() -> None:
    """The monitor and ingest both tell of streams: whoever sums them must say whose word counts."""
    twice = set(by_the_monitor()) & set(by_ingest())
    assert "dfd_stream_up" in twice
    for expr in [*of_all_files(), rules()]:
        for name in twice:
            for used in re.findall(rf"\b{name}\b(\{{[^}}]*\}})?", expr):
                assert 'job="' in used, f"{name} without a job in {expr[:200]}"
