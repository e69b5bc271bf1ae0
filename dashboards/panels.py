"""Panels as one call each: a title, the question it answers, a unit, and queries by their legend."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, DataSourceRef, FieldColorModeId
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode

from dashboards.style import DIGITS, PLAIN, Steps, Words, bad_when_low, least_top, mappings, thresholds

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
MOST_SERIES = 12
NO_VALUE = "no data"
_SOFT_BOTTOM = 0.9  # where a share that should be near 1 would hide what it loses
_NAME_SIZE = 12  # of a target beside its value: Grafana would make it unreadable where there are several
_WORD_SIZE = 16
_BAR = (14, 30)  # so that a dozen fit, and the name of a single one stays at its side

_SELECTORS = {
    "FIRING": 'alertstate="firing",component="data-tier",target=~"$target|"',  # the exporter's own name no target
    "SEL": 'job=~"$job",instance=~"$instance",target=~"$target"',
    "OF": 'job=~"$job",instance=~"$instance",of=~"$target"',  # backups of the target, wherever they lie
    "JOB": 'job=~"$job",instance=~"$instance"',
    "DB": 'datname=~"$datname"',
    "NEO_DB": 'db=~"$db"',
    "COLLECTION": 'collection=~"$collection"',
    "BUCKET": 'bucket=~"$bucket"',
}


@dataclass(frozen=True)
class Panel:
    """One panel and its place in the grid of 24 columns; `exprs` are its queries, as they are sent."""

    title: str
    builder: Any
    width: int
    height: int
    exprs: tuple[str, ...] = field(default=())

    def wide(self, width: int) -> "Panel":
        return replace(self, width=width)

    def high(self, height: int) -> "Panel":
        return replace(self, height=height)


def expression(text: str) -> str:
    """Put the selectors of the page's variables where a query names them."""
    for name, selector in sorted(_SELECTORS.items(), key=lambda item: -len(item[0])):
        text = text.replace("{" + name, "{" + selector).replace("," + name, "," + selector)
    return " ".join(text.split())


def single(
    title: str, question: str, unit: str, expr: str, steps: Steps = PLAIN, *, words: Words | None = None,
    legend: str = "{{target}}", every: str = "15s", link: str | None = None,
) -> Panel:  # fmt: skip
    """Show the last value of one query, large; one value for each target that is chosen, below each other."""
    sizes = common.VizTextDisplayOptions().title_size(_NAME_SIZE)
    if words and legend == "{{target}}":
        sizes = sizes.value_size(_WORD_SIZE)
    builder = (
        stat.Panel()
        .color_mode(shapes.BigValueColorMode.BACKGROUND_SOLID if words else shapes.BigValueColorMode.VALUE)
        .graph_mode(shapes.BigValueGraphMode.NONE)
        .orientation(shapes.VizOrientation.HORIZONTAL)
        .text(sizes)
        .justify_mode(shapes.BigValueJustifyMode.CENTER)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    panel = described(builder, title, question, unit, steps, words, link)
    return asked(Panel(title, panel, 3, 4), {legend: expr}, every)


def graph(
    title: str, question: str, unit: str, queries: Mapping[str, str], steps: Steps = PLAIN, *, every: str = "15s",
    stacked: bool = False, link: str | None = None,
) -> Panel:  # fmt: skip
    """Draw queries over time; limits are dashed lines."""
    builder = (
        timeseries.Panel()
        .fill_opacity(35 if stacked else 0 if bad_when_low(steps) else 8)
        .line_width(1)
        .show_points(shapes.VisibilityMode.NEVER)
        .span_nulls(False)
        .legend(_worst_first("min" if bad_when_low(steps) else "max"))
        .tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    )
    if stacked:
        builder = builder.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL))
    if len(steps) > 1:
        builder = builder.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(shapes.GraphThresholdsStyleMode.DASHED)
        )
    panel = described(builder, title, question, unit, steps, link=link)
    if bad_when_low(steps):
        panel = panel.axis_soft_min(_SOFT_BOTTOM).max(1)
    else:
        panel = panel.min(0).axis_soft_max(least_top(unit, steps))
    return asked(Panel(title, panel, 8, 9), queries, every)


def _worst_first(extreme: str) -> common.VizLegendOptions:
    """Return a legend whose first lines are those to look at: few fit below a graph."""
    return (
        common.VizLegendOptions()
        .display_mode(shapes.LegendDisplayMode.TABLE)
        .placement(shapes.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull", extreme])
        .sort_by(extreme.capitalize())
        .sort_desc(extreme == "max")
    )


def bars(
    title: str, question: str, unit: str, expr: str, steps: Steps, legend: str, *, every: str = "15s",
    most: float | None = None, link: str | None = None,
) -> Panel:  # fmt: skip
    """Show the present values of one query as bars, the worst first where the query sorts them."""
    builder = (
        bargauge.Panel()
        .orientation(shapes.VizOrientation.HORIZONTAL)
        .text(common.VizTextDisplayOptions().title_size(_NAME_SIZE))
        .display_mode(shapes.BarGaugeDisplayMode.BASIC)
        .value_mode(shapes.BarGaugeValueMode.COLOR)
        .sizing(shapes.BarGaugeSizing.MANUAL)
        .min_viz_height(_BAR[0])
        .max_viz_height(_BAR[1])
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    panel = described(builder, title, question, unit, steps, link=link).min(0)
    if most is not None:
        panel = panel.max(most)
    return asked(Panel(title, panel, 8, 9), {legend: expr}, every, instant=True)


def timeline(
    title: str, question: str, queries: Mapping[str, str], words: Words, *, every: str = "15s", link: str | None = None
) -> Panel:
    """Draw which of a few states held when."""
    builder = (
        statetimeline.Panel()
        .row_height(0.8)
        .show_value(shapes.VisibilityMode.NEVER)
        .merge_values(True)
        .legend(
            common.VizLegendOptions()
            .display_mode(shapes.LegendDisplayMode.LIST)
            .placement(shapes.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs([])
        )
        .tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.SINGLE).sort(shapes.SortOrder.NONE))
    )
    panel = described(builder, title, question, "short", words=words, link=link)
    return asked(Panel(title, panel, 24, 8), queries, every)


def latency(title: str, question: str, unit: str, expr: str, *, every: str = "15s") -> Panel:
    """Draw a histogram's buckets over time; the query keeps the label le."""
    builder = (
        heatmap.Panel()
        .calculate(False)
        .show_legend()
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .color(heatmap.HeatmapColorOptions().scheme("Oranges").mode(HeatmapColorMode.SCHEME).steps(64))
    )
    panel = described(builder, title, question, unit)
    return asked(Panel(title, panel, 8, 9), {"{{le}}": expr}, every, heat=True)


def described(
    builder: Any, title: str, question: str, unit: str, steps: Steps = PLAIN, words: Words | None = None,
    link: str | None = None,
) -> Any:  # fmt: skip
    """Give a panel what every panel has."""
    panel = builder.title(title).description(question).unit(unit).datasource(SOURCE).no_value(NO_VALUE)
    panel = panel.thresholds(thresholds(steps))
    if words:
        panel = panel.mappings(mappings(words))
    if link:
        panel = panel.data_links([dashboard.DashboardLink("open").type(DashboardLinkType.LINK).url(link)])
    return panel.decimals(DIGITS[unit]) if unit in DIGITS else panel


def asked(
    panel: Panel, queries: Mapping[str, str], every: str, *, instant: bool = False, as_table: bool = False,
    heat: bool = False,
) -> Panel:  # fmt: skip
    """Give a panel its queries, by their legends."""
    exprs = tuple(expression(expr) for expr in queries.values())
    for index, (legend, expr) in enumerate(zip(queries, exprs, strict=True)):
        query = prometheus.Dataquery().datasource(SOURCE).expr(expr).ref_id(ref(index)).interval(every)
        query = query.instant() if instant else query.range()
        if as_table:
            query = query.format("table")  # type: ignore[arg-type]
        elif heat:
            query = query.format("heatmap").legend_format(legend)  # type: ignore[arg-type]
        else:
            query = query.legend_format(legend)
        panel = replace(panel, builder=panel.builder.with_target(query))
    return replace(panel, builder=panel.builder.interval(every), exprs=exprs)


def ref(index: int) -> str:
    return chr(ord("A") + index)
