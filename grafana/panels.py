"""
The kinds of panels, with what all of one kind have alike: legends, colours, thresholds.

A colour means the same on every dashboard: green the median, orange P95, red P99; a red dashed line
is a limit that should not be passed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, table
from grafana_foundation_sdk.builders import timeseries as graph
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.promql import Exporter

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

PERCENTILES = {"P50": "green", "P95": "orange", "P99": "red"}
STATUSES = {"2xx": "green", "3xx": "blue", "4xx": "yellow", "5xx": "red", "none": "dark-red"}
OUTCOMES = {
    "ok": "green",
    "http_error": "yellow",
    "transport_error": "red",
    "timeout": "purple",
    "censored": "text",
}

# What a panel may need that a machine need not have; its description says so.
GPU = "gpu"
WITHOUT = {"": "", GPU: " Empty on a machine without an NVIDIA GPU."}

ESTIMATE = (
    " Estimated from buckets, so it may be off by the width of one (a factor of up to 1.7): for"
    " watching. The percentiles that the lab reports are those of the samples, not these."
)


@dataclass(frozen=True, slots=True)
class Target:
    """A query and how its series are called."""

    expr: str
    legend: str
    exemplars: bool = False

    def query(self, ref: str) -> prometheus.Dataquery:
        """Over the time range that is shown."""
        made = prometheus.Dataquery().expr(self.expr).legend_format(self.legend).ref_id(ref)
        return made.datasource(SOURCE).range().exemplar(self.exemplars)


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel and the room that it wants; a dashboard is 24 wide."""

    title: str
    builder: Any  # the builders of the kinds have nothing but the name of build() in common
    width: int
    height: int
    needs: str = ""


def lines(
    title: str,
    description: str,
    unit: str,
    *targets: Target,
    width: int = 8,
    height: int = 8,
    colours: Mapping[str, str] | None = None,
    dashed: str = "",
    stacked: bool = False,
    limit: float | None = None,
    least: float | None = 0,
    most: float | None = None,
    needs: str = "",
) -> Panel:
    """
    Values over time.

    `colours` are those of series by the last word of their names; `dashed` is what the names of
    dashed ones begin with. The axis begins at `least`, and ends at `most` or above.
    """
    made = graph.Panel().legend(legend()).tooltip(tooltip()).line_width(1)
    made = made.color_scheme(colour(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    made = made.fill_opacity(60 if stacked else 0)
    if stacked:
        made = made.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    for name, fixed in (colours or {}).items():
        value = {"mode": FieldColorModeId.FIXED.value, "fixedColor": fixed}
        made = made.override_by_regexp(f"/(^| ){name}$/", [DynamicConfigValue("color", value)])
    if dashed:
        style = DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})
        made = made.override_by_regexp(f"/^{dashed}/", [style])
    if limit is not None:
        made = made.thresholds(steps((None, "transparent"), (limit, "red")))
        drawn = common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        made = made.thresholds_style(drawn)
    if least is not None:
        made = made.min(least)
    if most is not None:
        made = made.axis_soft_max(most)
    return finished(made, title, description, unit, targets, width, height, needs)


def number(
    title: str,
    description: str,
    unit: str,
    *targets: Target,
    width: int = 6,
    levels: Sequence[tuple[float | None, str]] = ((None, "text"),),
    digits: int | None = None,
    needs: str = "",
) -> Panel:
    """The last value, large, over its course; coloured by the level that it has reached."""
    last = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields("")
    made = stat.Panel().reduce_options(last).graph_mode(BigValueGraphMode.AREA)
    made = made.color_mode(BigValueColorMode.VALUE).thresholds(steps(*levels))
    made = made.color_scheme(colour(FieldColorModeId.THRESHOLDS))
    if digits is not None:
        made = made.decimals(digits)
    return finished(made, title, description, unit, targets, width, 4, needs)


def heat(title: str, description: str, target: Target, width: int = 9) -> Panel:
    """How many requests ended in each bucket, over time. The buckets are classic ones."""
    made = heatmap.Panel().calculate(False)
    made = made.color(
        heatmap.HeatmapColorOptions()
        .mode(HeatmapColorMode.SCHEME)
        .scheme("Oranges")
        .exponent(0.5)
        .steps(64)
    )
    made = made.y_axis(heatmap.YAxisConfig().unit("s"))
    # Cells without requests are not drawn, or the whole panel is a grey carpet.
    made = made.filter_values(heatmap.FilterValueRange().le(1e-9)).exemplars_color("blue")
    query = target.query("A").format(PromQueryFormat.HEATMAP)
    made = made.with_target(query)
    return finished(made, title, description, "s", (), width, 8)


def table_of(
    title: str,
    description: str,
    *targets: Target,
    columns: Mapping[str, tuple[str, str]],
    width: int = 12,
    height: int = 6,
) -> Panel:
    """
    A row for each combination of labels, at the end of the time range.

    `columns` has the fields that are shown, in this order: their names and units. The value of a
    query is the field `Value #A`, or B and so on.
    """
    made = table.Panel()
    for ref, target in zip(ascii_uppercase, targets, strict=False):
        made = made.with_target(target.query(ref).format(PromQueryFormat.TABLE).instant())
    order = {field: place for place, field in enumerate(columns)}
    renamed = {field: name for field, (name, _) in columns.items()}
    made = made.transformations(
        [
            DataTransformerConfig(id_val="merge", options={}),
            DataTransformerConfig(
                id_val="filterFieldsByName", options={"include": {"names": [*columns]}}
            ),
            DataTransformerConfig(
                id_val="organize",
                options={"excludeByName": {}, "indexByName": order, "renameByName": renamed},
            ),
        ]
    )
    for name, unit in columns.values():
        if unit:
            made = made.override_by_name(name, [DynamicConfigValue("unit", unit)])
    return finished(made, title, description, "none", (), width, height)


def finished(
    made: Any,
    title: str,
    description: str,
    unit: str,
    targets: Sequence[Target],
    width: int,
    height: int,
    needs: str = "",
) -> Panel:
    """What every panel has."""
    made = made.title(title).description(description + WITHOUT[needs]).unit(unit).datasource(SOURCE)
    for ref, target in zip(ascii_uppercase, targets, strict=False):
        made = made.with_target(target.query(ref))
    return Panel(title, made, width, height, needs)


def percentiles(
    exporter: Exporter, histogram: str, *where: str, name: str = "", exemplars: bool = True
) -> list[Target]:
    """The three that are shown everywhere."""
    return [
        Target(exporter.quantile(q, histogram, *where), f"{name} {label}".lstrip(), exemplars)
        for label, q in (("P50", 0.5), ("P95", 0.95), ("P99", 0.99))
    ]


def steps(*levels: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    """From which value on which colour holds."""
    made = [Threshold(value=value, color=name) for value, name in levels]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)


def colour(mode: FieldColorModeId) -> dashboard.FieldColor:
    """How series get theirs."""
    return dashboard.FieldColor().mode(mode)


def legend() -> common.VizLegendOptions:
    """A table with what the eye cannot read off a line; what does not fit in is the least."""
    made = common.VizLegendOptions().show_legend(True).calcs(["mean", "max"])
    made = made.sort_by("Max").sort_desc(True)
    return made.display_mode(LegendDisplayMode.TABLE).placement(LegendPlacement.BOTTOM)


def tooltip() -> common.VizTooltipOptions:
    """All series at one moment, the largest first."""
    return common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
