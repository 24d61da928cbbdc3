"""The few kinds of panels that the dashboards are made of, in the words of grafana-foundation-sdk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as formats

SOURCE = models.DataSourceRef(type_val="prometheus", uid="dfd-prometheus")
RED, AMBER, GREEN, GREY = "red", "orange", "green", "text"
Query = tuple[str, str]  # PromQL, legend


def _queries(queries: Sequence[Query], *, instant: bool = False) -> list[prometheus.Dataquery]:
    made = []
    for number, (expr, legend) in enumerate(queries):
        query = (
            prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(chr(ord("A") + number)).datasource(SOURCE)
        )
        made.append(query.instant() if instant else query.range())
    return made


def lines(title: str, queries: Sequence[Query], unit: str = "short", *, top: float | None = None) -> timeseries.Panel:
    """Values over time, a line a series; from 0 to `top`."""
    panel = timeseries.Panel().title(title).datasource(SOURCE).unit(unit).min(0).span(12).height(8)
    panel = panel.targets(_queries(queries)).fill_opacity(8)
    panel = panel.tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI))
    return panel if top is None else panel.max(top)


def number(title: str, expr: str, unit: str = "short", *, bad_from: float | None = None) -> stat.Panel:
    """The newest value, large; red from `bad_from` on."""
    steps = [models.Threshold(value=None, color=GREEN if bad_from is not None else GREY)]
    if bad_from is not None:
        steps.append(models.Threshold(value=bad_from, color=RED))
    limits = dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)
    panel = stat.Panel().title(title).datasource(SOURCE).unit(unit).span(4).height(4).thresholds(limits)
    return panel.targets(_queries([(expr, "")], instant=True)).graph_mode(kinds.BigValueGraphMode.NONE)


def states(title: str, queries: Sequence[Query], words: Mapping[int, tuple[str, str]]) -> statetimeline.Panel:
    """A row a series, coloured by value: `words` gives each value its word and colour."""
    mapping = models.ValueMap(
        options={
            str(value): models.ValueMappingResult(text=text, color=color) for value, (text, color) in words.items()
        }
    )
    panel = statetimeline.Panel().title(title).datasource(SOURCE).span(24).height(8).mappings([mapping])
    return panel.targets(_queries(queries)).show_value(kinds.VisibilityMode.NEVER).merge_values(True)


def buckets(title: str, metric: str, selector: str = "") -> heatmap.Panel:
    """A histogram over time."""
    expr = f"sum by (le) (increase({metric}_bucket{selector}[$__rate_interval]))"
    query = prometheus.Dataquery().expr(expr).legend_format("{{le}}").datasource(SOURCE).range()
    query = query.format(formats.PromQueryFormat.HEATMAP)
    return heatmap.Panel().title(title).datasource(SOURCE).span(12).height(8).targets([query])


def by_stream(title: str, columns: Mapping[str, str]) -> table.Panel:
    """A row a stream; `columns` maps a heading to PromQL whose only label is `stream`."""
    queries = [
        prometheus.Dataquery()
        .expr(expr)
        .ref_id(chr(ord("A") + number))
        .datasource(SOURCE)
        .instant()
        .format(formats.PromQueryFormat.TABLE)
        for number, expr in enumerate(columns.values())
    ]
    names = {f"Value #{chr(ord('A') + number)}": heading for number, heading in enumerate(columns)}
    panel = table.Panel().title(title).datasource(SOURCE).span(24).height(8).decimals(2).targets(queries)
    panel = panel.with_transformation(models.DataTransformerConfig("joinByField", options={"byField": "stream"}))
    hidden = {f"Time {number}": True for number in range(1, len(columns) + 1)} | {"Time": True}
    options = {"renameByName": names, "excludeByName": hidden}
    return panel.with_transformation(models.DataTransformerConfig("organize", options=options))
