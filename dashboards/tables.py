"""Tables as one call each: a row for each set of labels, a column for each label or query."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue

from dashboards.panels import Panel, asked, described, ref
from dashboards.style import DIGITS, PLAIN, Steps, Words, mappings, thresholds

NOTHING = "-"  # in a cell without a value


@dataclass(frozen=True)
class Column:
    """One column of a table: the query that fills it, or, without one, a label of the rows.

    A hidden one is there for links, or to make the rows that its query finds.
    """

    title: str
    expr: str | None = None
    unit: str = "short"
    steps: Steps = PLAIN
    words: Words | None = None
    label: str | None = None
    link: str | None = None
    width: int | None = None
    hidden: bool = False
    wraps: bool = False


def grid(
    title: str, question: str, columns: Sequence[Column], *, by: str, worst: str | None = None, first: str = "highest",
    every: str = "15s",
) -> Panel:  # fmt: skip
    """Show a table: a row for each set of the labels in `by` (comma-separated), ordered by the column `worst`."""
    valued = [column for column in columns if column.expr is not None]
    builder = table.Panel().show_header(True).cell_height(shapes.TableCellHeight.SM)
    if worst is not None:
        builder = builder.sort_by([common.TableSortByFieldState().display_name(worst).desc(first == "highest")])
    panel = described(builder, title, question, "short")
    panel = panel.transformations(_arranged(columns, valued, [label.strip() for label in by.split(",")]))
    for column in columns:
        panel = panel.override_by_name(column.title, _properties(column))
    queries = {f"{index}": column.expr for index, column in enumerate(valued) if column.expr is not None}
    return asked(Panel(title, panel, 24, 8), queries, every, instant=True, as_table=True)


def _arranged(columns: Sequence[Column], valued: Sequence[Column], labels: list[str]) -> list[DataTransformerConfig]:
    """Join the queries' answers into rows, order the columns, and name them."""
    shown = {column.label: column.title for column in columns if column.label}
    names = shown | {_field(column, valued): column.title for column in valued}
    order = [_field(column, valued) for column in columns]
    organize = {
        "excludeByName": {"Time": True, **{label: True for label in labels if label not in shown}},
        "indexByName": {name: index for index, name in enumerate(order)},
        "renameByName": names,
    }
    return [
        DataTransformerConfig(id_val="merge", options={}),
        DataTransformerConfig(id_val="organize", options=organize),
    ]


def _field(column: Column, valued: Sequence[Column]) -> str:
    if column.label:
        return column.label
    return "Value" if len(valued) == 1 else f"Value #{ref(valued.index(column))}"


def _properties(column: Column) -> list[DynamicConfigValue]:
    """Return what the column has of its own; a label is text, also where it looks like a number."""
    found = {"unit": "string" if column.label else column.unit, "noValue": NOTHING}
    properties = [DynamicConfigValue(id_val=name, value=value) for name, value in found.items()]

    def add(name: str, value: object) -> None:
        properties.append(DynamicConfigValue(id_val=name, value=value))

    if column.unit in DIGITS:
        add("decimals", DIGITS[column.unit])
    if column.words:
        add("mappings", mappings(column.words))
        plain = any(colour == "text" for _, colour in column.words.values())
        add("custom.cellOptions", {"type": "color-text"} if plain else {"type": "color-background", "mode": "basic"})
    elif len(column.steps) > 1:
        add("thresholds", thresholds(column.steps).build())
        add("custom.cellOptions", {"type": "color-text"})
    elif column.wraps:
        add("custom.cellOptions", {"type": "auto", "wrapText": True})
        add("custom.wrapText", value=True)  # the same from Grafana 12 on
    if column.link:
        add("links", [{"title": "open", "url": column.link}])
    if column.width:
        add("custom.width", column.width)
    if column.hidden:
        add("custom.hidden", value=True)
        add("custom.hideFrom", {"legend": True, "tooltip": True, "viz": True})  # as Grafana says it from 12 on
    return properties
