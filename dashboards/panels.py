"""Panels as one call each: a title, the question it answers, a unit, and queries by their legend."""

from collections.abc import Mapping, Sequence
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
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode

from exporter.thresholds import THRESHOLDS

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
MOST_SERIES = 12
NO_VALUE = "no data"

Steps = Sequence[tuple[float | None, str]]  # from this value on, this colour; the first has no value
Words = Mapping[float, tuple[str, str]]  # a value's word and colour

PLAIN: Steps = ((None, "text"),)
STATES: Words = {0: ("ok", "green"), 1: ("unknown", "gray"), 2: ("degraded", "orange"), 3: ("down", "red")}
CHECKS: Words = {0: ("pass", "green"), 1: ("unknown", "gray"), 2: ("warn", "orange"), 3: ("fail", "red")}
GOOD: Words = {0: ("no", "red"), 1: ("yes", "green")}

_SELECTORS = {
    "FIRING": 'alertstate="firing",component="data-tier",target=~"$target|"',  # the exporter's own name no target
    "SEL": 'job=~"$job",instance=~"$instance",target=~"$target"',
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


def limit(name: str, *, scale: float = 1.0) -> Steps:
    """Return the colours of a threshold: what warns is orange, what fails is red."""
    found = THRESHOLDS[name]
    steps: list[tuple[float | None, str]] = [(None, "green"), (found.warn * scale, "orange")]
    return (*steps, (found.fail * scale, "red")) if found.fail is not None else tuple(steps)


def above(warn: float | None = None, fail: float | None = None) -> Steps:
    """Return colours for a value that is bad when it is high."""
    return (
        (None, "green"),
        *(((warn, "orange"),) if warn is not None else ()),
        *(((fail, "red"),) if fail is not None else ()),
    )


def below(warn: float, fail: float | None = None) -> Steps:
    """Return colours for a value that is bad when it is low."""
    return ((None, "orange"), (warn, "green")) if fail is None else ((None, "red"), (fail, "orange"), (warn, "green"))


def expression(text: str) -> str:
    """Put the selectors of the page's variables where a query names them."""
    for name, selector in sorted(_SELECTORS.items(), key=lambda item: -len(item[0])):
        text = text.replace("{" + name, "{" + selector).replace("," + name, "," + selector)
    return " ".join(text.split())


def single(
    title: str, question: str, unit: str, expr: str, steps: Steps = PLAIN, *, words: Words | None = None,
    legend: str = "{{target}}", every: str = "15s", link: str | None = None,
) -> Panel:  # fmt: skip
    """Show the last value of one query, large; one value for each target that is chosen."""
    builder = (
        stat.Panel()
        .color_mode(shapes.BigValueColorMode.BACKGROUND_SOLID if words else shapes.BigValueColorMode.VALUE)
        .graph_mode(shapes.BigValueGraphMode.NONE if words else shapes.BigValueGraphMode.AREA)
        .justify_mode(shapes.BigValueJustifyMode.CENTER)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    panel = _panel(title, question, unit, builder, steps, words, link)
    return _asked(Panel(title, panel, 3, 4), {legend: expr}, every)


def graph(
    title: str, question: str, unit: str, queries: Mapping[str, str], steps: Steps = PLAIN, *, every: str = "15s",
    stacked: bool = False, link: str | None = None,
) -> Panel:  # fmt: skip
    """Draw queries over time; limits are dashed lines."""
    builder = (
        timeseries.Panel()
        .fill_opacity(35 if stacked else 8)
        .line_width(1)
        .show_points(shapes.VisibilityMode.NEVER)
        .span_nulls(False)
        .legend(
            common.VizLegendOptions()
            .display_mode(shapes.LegendDisplayMode.TABLE)
            .placement(shapes.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    )
    if stacked:
        builder = builder.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL))
    if len(steps) > 1:
        builder = builder.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(shapes.GraphThresholdsStyleMode.DASHED)
        )
    panel = _panel(title, question, unit, builder, steps, None, link).min(0)
    return _asked(Panel(title, panel, 8, 8), queries, every)


def bars(
    title: str, question: str, unit: str, expr: str, steps: Steps, legend: str, *, every: str = "15s",
    most: float | None = None, link: str | None = None,
) -> Panel:  # fmt: skip
    """Show the present values of one query as bars, the worst first where the query sorts them."""
    builder = (
        bargauge.Panel()
        .orientation(shapes.VizOrientation.HORIZONTAL)
        .display_mode(shapes.BarGaugeDisplayMode.BASIC)
        .value_mode(shapes.BarGaugeValueMode.COLOR)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    panel = _panel(title, question, unit, builder, steps, None, link).min(0)
    if most is not None:
        panel = panel.max(most)
    return _asked(Panel(title, panel, 8, 8), {legend: expr}, every, instant=True)


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
    panel = _panel(title, question, "short", builder, PLAIN, words, link)
    return _asked(Panel(title, panel, 24, 8), queries, every)


def latency(title: str, question: str, unit: str, expr: str, *, every: str = "15s") -> Panel:
    """Draw a histogram's buckets over time; the query keeps the label le."""
    builder = (
        heatmap.Panel()
        .calculate(False)
        .show_legend()
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .color(heatmap.HeatmapColorOptions().scheme("Oranges").mode(HeatmapColorMode.SCHEME).steps(64))
    )
    panel = _panel(title, question, unit, builder, PLAIN, None, None)
    return _asked(Panel(title, panel, 8, 8), {"{{le}}": expr}, every, heat=True)


@dataclass(frozen=True)
class Column:
    """One column of a table: the query that fills it, or, without one, a label of the rows."""

    title: str
    expr: str | None = None
    unit: str = "short"
    steps: Steps = PLAIN
    words: Words | None = None
    label: str | None = None
    link: str | None = None
    width: int | None = None


def grid(title: str, question: str, columns: Sequence[Column], *, by: str, every: str = "15s") -> Panel:
    """Show a table: a row for each set of the labels in `by` (comma-separated), a column for each query or label."""
    valued = [column for column in columns if column.expr is not None]
    builder = table.Panel().show_header(True).cell_height(shapes.TableCellHeight.SM)
    panel = _panel(title, question, "short", builder, PLAIN, None, None)
    labels = [label.strip() for label in by.split(",")]
    shown = {column.label: column.title for column in columns if column.label}
    names = shown | {f"Value #{_ref(index)}": column.title for index, column in enumerate(valued)}
    if len(valued) == 1:
        names["Value"] = valued[0].title
    order = [_field(column, valued) for column in columns]
    panel = panel.transformations([
        DataTransformerConfig(id_val="merge", options={}),
        DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True, **{label: True for label in labels if label not in shown}},
                "indexByName": {name: index for index, name in enumerate(order)},
                "renameByName": names,
            },
        ),
    ])  # fmt: skip
    for column in columns:
        panel = panel.override_by_name(column.title, _properties(column))
    queries = {f"{index}": column.expr for index, column in enumerate(valued)}
    return _asked(Panel(title, panel, 24, 8), queries, every, instant=True, as_table=True)  # type: ignore[arg-type]


def _field(column: Column, valued: Sequence[Column]) -> str:
    if column.label:
        return column.label
    return "Value" if len(valued) == 1 else f"Value #{_ref(valued.index(column))}"


def _properties(column: Column) -> list[DynamicConfigValue]:
    found = [DynamicConfigValue(id_val="unit", value=column.unit)]
    if column.words:
        found.append(DynamicConfigValue(id_val="mappings", value=_mappings(column.words)))
        found.append(DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-background"}))
    elif len(column.steps) > 1:
        found.append(DynamicConfigValue(id_val="thresholds", value=_thresholds(column.steps).build()))
        found.append(DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}))
    if column.link:
        found.append(DynamicConfigValue(id_val="links", value=[{"title": "open", "url": column.link}]))
    if column.width:
        found.append(DynamicConfigValue(id_val="custom.width", value=column.width))
    return found


def _panel(
    title: str, question: str, unit: str, builder: Any, steps: Steps, words: Words | None, link: str | None
) -> Any:
    panel = builder.title(title).description(question).unit(unit).datasource(SOURCE).no_value(NO_VALUE)
    panel = panel.thresholds(_thresholds(steps))
    if words:
        panel = panel.mappings(_mappings(words))
    if link:
        panel = panel.data_links([dashboard.DashboardLink("open").type(DashboardLinkType.LINK).url(link)])
    return panel


def _asked(
    panel: Panel, queries: Mapping[str, str], every: str, *, instant: bool = False, as_table: bool = False,
    heat: bool = False,
) -> Panel:  # fmt: skip
    exprs = tuple(expression(expr) for expr in queries.values())
    for index, (legend, expr) in enumerate(zip(queries, exprs, strict=True)):
        query = prometheus.Dataquery().datasource(SOURCE).expr(expr).ref_id(_ref(index)).interval(every)
        query = query.instant() if instant else query.range()
        if as_table:
            query = query.format("table")  # type: ignore[arg-type]
        elif heat:
            query = query.format("heatmap").legend_format(legend)  # type: ignore[arg-type]
        else:
            query = query.legend_format(legend)
        panel = replace(panel, builder=panel.builder.with_target(query))
    return replace(panel, builder=panel.builder.interval(every), exprs=exprs)


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=value, color=colour) for value, colour in steps])
    )


def _mappings(words: Words) -> list[ValueMap]:
    options = {
        f"{value:g}": ValueMappingResult(text=word, color=colour, index=index)
        for index, (value, (word, colour)) in enumerate(words.items())
    }
    return [ValueMap(options=options)]


def _ref(index: int) -> str:
    return chr(ord("A") + index)
