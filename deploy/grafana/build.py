"""Writes the dashboards and the Grafana-managed alerts: python deploy/grafana/build.py

`dashboards/*.json` and `provisioning/alerting/dfd.json` are what it makes; change them here. A new metric needs a panel
here or a rule in `deploy/prometheus/rules/`: tests/test_grafana.py holds both against what dfd serves.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

sys.path.insert(0, str(Path(__file__).parent))
from panels import AMBER, GREEN, GREY, RED, SOURCE, buckets, by_stream, lines, number, states

HERE = Path(__file__).parent
MEAN = (
    "sum by (stream) (rate(dfd_fake_probability_sum[1m]))"
    " / (sum by (stream) (rate(dfd_fake_probability_count[1m])) > 0)"
)
P95 = "dfd:window_latency_seconds:p95_1m"
UP = 'dfd_stream_up{job="dfd-monitor"}'  # ingest serves it too
ONE = '{stream=~"$stream"}'
UNLESS_CANARY = "unless on (stream) dfd_canary_missed_total"  # canaries raise alarms on purpose


def page(title: str, uid: str, panels: Iterable[Any], *, of_stream: bool = False) -> dashboard.Dashboard:
    """A dashboard of the last hour that looks again every five seconds."""
    made = dashboard.Dashboard(title).uid(uid).tags(["dfd"]).refresh("5s").time("now-1h", "now").readonly()
    made = made.link(dashboard.DashboardLink("dfd").type(models.DashboardLinkType.DASHBOARDS).tags(["dfd"]))
    if of_stream:
        variable = dashboard.QueryVariable("stream").label("stream").datasource(SOURCE).include_all(True).multi(True)
        variable = variable.query("label_values(dfd_windows_total, stream)").all_value(".+")
        made = made.with_variable(variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED))
    for panel in panels:
        made = made.with_panel(panel)
    return made


def overview() -> dashboard.Dashboard:
    """One row a stream: what is thought of it, since when, how fast and how late."""
    return page(
        "dfd: overview",
        "dfd-overview",
        [
            number("Alarms now", f"sum(dfd_alarm_active {UNLESS_CANARY}) or vector(0)", bad_from=1),
            number("Alarms today", f"sum(increase(dfd_alarms_total[24h]) {UNLESS_CANARY}) or vector(0)"),
            number("Streams up", f"sum({UP}) or vector(0)"),
            number("Streams down", f"count({UP} == 0) or vector(0)", bad_from=1),
            number("Workers", "max(dfd_workers)"),
            number("Windows waiting", "sum(dfd_queue_windows) or vector(0)"),
            states("Alarms", [("dfd_alarm_active", "{{stream}}")], {0: ("authentic", GREEN), 1: ("fake", RED)}),
            lines("Mean fake probability", [(MEAN, "{{stream}}")], "percentunit", top=1),
            lines("Latency, capture to verdict (p95)", [(P95, "{{stream}}")], "s"),
            by_stream(
                "Streams",
                {
                    "alarm": "sum by (stream) (dfd_alarm_active)",
                    "face": "sum by (stream) (dfd_alarm_track)",
                    "since (s)": "sum by (stream) (dfd_alarm_since_seconds)",
                    "its probability": "sum by (stream) (dfd_alarm_fake_probability)",
                    "mean probability": MEAN,
                    "alarms today": "sum by (stream) (increase(dfd_alarms_total[24h]))",
                    "frames a second": 'sum by (stream) (dfd_stream_frames_per_second{job="dfd-monitor"})',
                    "latency p95 (s)": P95,
                },
            ),
        ],
    )


def stream() -> dashboard.Dashboard:
    """One stream, or some, closely."""
    age = 'time() - max by (stream) (dfd_stream_last_frame_timestamp_seconds{stream=~"$stream",job="dfd-monitor"})'
    dropped = 'rate(dfd_frames_dropped_total{stream=~"$stream",job="dfd-monitor"}[$__rate_interval])'
    reopened = 'rate(dfd_stream_reconnects_total{stream=~"$stream",job="dfd-monitor"}[$__rate_interval])'
    drift = 'dfd_stream_clock_drift_seconds{stream=~"$stream",job="dfd-monitor"}'
    up = {0: ("no frames", AMBER), 1: ("frames", GREEN)}
    rates = {0: ("every window", GREEN), 1: ("calm: less often", GREY)}
    shows = 'dfd_stream_state{stream=~"$stream",job="dfd-monitor"}'
    since = 'dfd_stream_state_since_timestamp_seconds{stream=~"$stream",job="dfd-monitor"}'
    frames = 'rate(dfd_frames_total{stream=~"$stream"}[$__rate_interval])'
    own = 'dfd:frames_per_second:own{stream=~"$stream"}'
    return page(
        "dfd: stream",
        "dfd-stream",
        [
            states("Alarms", [(f"dfd_alarm_active{ONE}", "{{stream}}")], {0: ("authentic", GREEN), 1: ("fake", RED)}),
            states("Source", [('dfd_stream_up{stream=~"$stream",job="dfd-monitor"}', "{{stream}}")], up),
            states("Scored", [(f"dfd_stream_calm{ONE}", "{{stream}}")], rates),
            lines("What it shows", [(f"{shows} == 1", "{{stream}} {{state}}")]),
            lines("For how long", [(f"time() - {since}", "{{stream}}")], "s"),
            states("Labels", [('dfd_stream_info{stream=~"$stream"}', "{{stream}}")], {1: ("known", GREEN)}),
            buckets("Fake probability of each scored face", "dfd_fake_probability", ONE),
            lines("Windows", [(f"rate(dfd_windows_total{ONE}[$__rate_interval])", "{{stream}} {{outcome}}")]),
            lines("Not scorable", [(f"rate(dfd_abstentions_total{ONE}[$__rate_interval])", "{{stream}} {{reason}}")]),
            lines("Frames read", [(frames, "{{stream}}"), (own, "{{stream}} mostly")], "hertz"),
            lines(
                "Frames dropped and sources opened again",
                [(dropped, "{{stream}} {{reason}}"), (reopened, "{{stream}} opened")],
            ),
            lines("Age of the last frame", [(age, "{{stream}}")], "s"),
            lines("Latency, capture to verdict (p95)", [(f"{P95}{ONE}", "{{stream}}")], "s"),
            lines("Its clock ahead of ours", [(drift, "{{stream}}")], "s"),
            lines("Age of the oldest window that waits", [(f"dfd_oldest_window_age_seconds{ONE}", "{{stream}}")], "s"),
        ],
        of_stream=True,
    )


def fleet() -> dashboard.Dashboard:
    """Workers, queues and Redis."""
    batch = "rate(dfd_worker_batch_windows_sum[1m]) / (rate(dfd_worker_batch_windows_count[1m]) > 0)"
    took = "rate(dfd_worker_scoring_seconds_sum[1m]) / (rate(dfd_worker_scoring_seconds_count[1m]) > 0)"
    file_s = "rate(dfd_bulk_file_seconds_sum[5m]) / (rate(dfd_bulk_file_seconds_count[5m]) > 0)"
    gpu = [("dfd_worker_gpu_memory_used_bytes", "{{instance}} {{gpu}}")]
    gpu_limit = [("dfd_worker_gpu_memory_total_bytes", "{{instance}} {{gpu}}, all")]
    redis_states = {0: ("away", RED), 1: ("answers", GREEN)}
    answer = "histogram_quantile(0.95, sum by (route, le) (rate(dfd_serve_request_seconds_bucket[5m])))"
    listeners = [("dfd_serve_event_clients", "listen"), ("increase(dfd_serve_score_restarts_total[1h])", "replaced")]
    lost = "increase(dfd_evidence_lost_total[1h])"
    bundles = [("increase(dfd_evidence_bundles_total[1h])", "written"), (lost, "lost: {{reason}}")]
    redis = [("dfd_redis_used_bytes", "used"), ("dfd_redis_limit_bytes > 0", "maxmemory")]
    return page(
        "dfd: fleet",
        "dfd-fleet",
        [
            number("Monitors at work", 'sum(dfd_monitor_active{job="dfd-monitor"}) or vector(0)'),
            number("Workers", "max(dfd_workers)"),
            number("Windows waiting", "sum(dfd_queue_windows) or vector(0)"),
            number("Oldest of them", "max(dfd_oldest_window_age_seconds) or vector(0)", "s", bad_from=30),
            number("Files waiting", 'sum(dfd_bulk_files{state=~"waiting|retrying"}) or vector(0)'),
            number("Files failed", 'sum(dfd_bulk_files{state="failed"}) or vector(0)', bad_from=1),
            states("Redis", [('min(dfd_redis_up{job="dfd-monitor"})', "Redis")], redis_states),
            lines("Windows waiting", [("dfd_queue_windows", "{{stream}}")]),
            lines("Redis", redis, "bytes"),
            lines("Windows in a batch", [(batch, "{{instance}}")]),
            lines("Time to score a batch", [(took, "{{instance}}")], "s"),
            lines("Crops a second", [("rate(dfd_worker_crops_total[$__rate_interval])", "{{instance}}")]),
            lines(
                "Windows settled", [("rate(dfd_worker_windows_total[$__rate_interval])", "{{instance}} {{outcome}}")]
            ),
            lines("Windows set aside", [("increase(dfd_poison_windows_total[1h])", "last hour")]),
            lines("Scoring that raised", [("rate(dfd_worker_errors_total[$__rate_interval])", "{{instance}}")]),
            lines("GPU", [("dfd_worker_gpu_utilization_ratio", "{{instance}} {{gpu}}")], "percentunit", top=1),
            lines("GPU memory", [*gpu, *gpu_limit], "bytes"),
            lines("Files by state", [("dfd_bulk_files", "{{state}}")]),
            lines("Files ended", [("rate(dfd_bulk_files_total[5m])", "{{instance}} {{outcome}}")]),
            lines("Time to score a file", [(file_s, "{{instance}}")], "s"),
            lines("Requests to dfd serve", [("sum by (status) (rate(dfd_serve_requests_total[5m]))", "{{status}}")]),
            lines("Time to answer (p95)", [(answer, "{{route}}")], "s"),
            lines("Who listens to events; processes of /v1/score that were replaced", listeners),
            lines("Verdicts for others", [("increase(dfd_sink_notices_total[1h])", "{{sink}} {{outcome}}")]),
            lines("Bundles of evidence, and those lost", bundles),
            lines("Evidence on disk", [("dfd_evidence_bytes", "{{instance}}")], "bytes"),
        ],
    )


def detector() -> dashboard.Dashboard:
    """What the model says on the whole, where it abstains, and whether that moves."""
    drift = [("dfd:fake_probability:mean_1h", "{{stream}}, hour"), ("dfd:fake_probability:mean_1w", "{{stream}}, week")]
    canary, missed = "dfd_canary_detection_seconds", "dfd_canary_missed_total"
    found = f"histogram_quantile(0.95, sum by (stream, le) (rate({canary}_bucket[1h])))"
    told, lost = (f"sum by (stream) (increase({name}[1h]))" for name in (f"{canary}_count", missed))
    model = [('dfd_model_info{job="dfd-monitor"}', "{{name}} on {{runtime}}")]
    return page(
        "dfd: detector",
        "dfd-detector",
        [
            states("Model", model, {1: ("in use", GREEN)}),
            buckets("Fake probability of each scored face, all streams", "dfd_fake_probability"),
            lines("Mean of the last hour and week", drift, "percentunit", top=1),
            lines("Not scorable, by reason", [("sum by (reason) (rate(dfd_abstentions_total[5m]))", "{{reason}}")]),
            lines("Windows by outcome", [("sum by (outcome) (rate(dfd_windows_total[5m]))", "{{outcome}}")]),
            lines("From a canary's fake to its alarm (p95)", [(found, "{{stream}}")], "s"),
            lines("Canaries' fakes in the last hour", [(told, "{{stream}} found"), (lost, "{{stream}} missed")]),
            lines("Alarms begun", [("sum by (stream) (increase(dfd_alarms_total[1h]))", "{{stream}}, last hour")]),
        ],
    )


def rule(uid: str, title: str, expr: str, above: float, *, lasts: str, severity: str, summary: str) -> dict[str, Any]:
    """A Grafana-managed alert: it fires where `expr` is above a number for so long."""
    data = [
        {
            "refId": "A",
            "relativeTimeRange": {"from": 60, "to": 0},
            "datasourceUid": SOURCE.uid,
            "model": {"refId": "A", "expr": expr, "instant": True},
        },
        {
            "refId": "B",
            "datasourceUid": "__expr__",
            "model": {
                "refId": "B",
                "type": "threshold",
                "expression": "A",
                "conditions": [{"evaluator": {"type": "gt", "params": [above]}}],
            },
        },
    ]
    return {
        "uid": uid,
        "title": title,
        "condition": "B",
        "data": data,
        "for": lasts,
        "noDataState": "OK",
        "execErrState": "Error",
        "labels": {"severity": severity},
        "annotations": {"summary": summary},
    }


def alerts() -> dict[str, Any]:
    """For installations that alert by Grafana instead of by Prometheus's rules, which say more."""
    alarm = f"max by (stream) (dfd_alarm_active) {UNLESS_CANARY}"
    down = 'min by (stream) (dfd_stream_up{job="dfd-monitor"} == bool 0)'
    name = "{{ $labels.stream }}"
    rules = [
        rule("dfd-fake", "Fake detected", alarm, 0, lasts="0s", severity="critical", summary=f"{name}: a face is fake"),
        rule("dfd-offline", "Stream offline", down, 0, lasts="20s", severity="warning", summary=f"{name}: no frames"),
        rule(
            "dfd-workers",
            "No worker",
            "max(dfd_workers) == bool 0",
            0,
            lasts="20s",
            severity="critical",
            summary="No worker",
        ),
        rule(
            "dfd-redis",
            "Redis away",
            'max(dfd_redis_up{job="dfd-monitor"}) == bool 0',
            0,
            lasts="10s",
            severity="critical",
            summary="Redis does not answer, or takes nothing",
        ),
        rule(
            "dfd-latency", "Late verdicts", P95, 1, lasts="1m", severity="warning", summary=f"{name}: verdicts are late"
        ),
    ]
    group = {"orgId": 1, "name": "dfd", "folder": "dfd", "interval": "10s", "rules": rules}
    return {"apiVersion": 1, "groups": [group]}


def files() -> dict[Path, str]:
    """Path below this folder -> content, of all that is generated."""
    boards = {"overview": overview(), "stream": stream(), "fleet": fleet(), "detector": detector()}
    made = {
        Path("dashboards") / f"{name}.json": JSONEncoder(sort_keys=True, indent=2).encode(board.build())
        for name, board in boards.items()
    }
    made[Path("provisioning") / "alerting" / "dfd.json"] = json.dumps(alerts(), indent=2)
    return {path: text + "\n" for path, text in made.items()}


def main() -> None:
    """Write them all."""
    for path, text in files().items():
        (HERE / path).write_text(text, encoding="utf-8")
        print(HERE / path)


if __name__ == "__main__":
    main()
