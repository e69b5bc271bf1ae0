"""Pages: rows of panels laid out in Grafana's grid, with the variables, links and annotations that all of them have."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    GridPos,
    VariableHide,
    VariableRefresh,
    VariableSort,
)

from dashboards.panels import SOURCE, Panel, expression

COLUMNS = 24
_UNKNOWN_TO_SOME = {"allowCustomValue", "auto", "auto_count", "auto_min", "placement"}
_SCHEMA = 39  # what Grafana 10.4 writes and every later one still reads

# Where something began, not how long it lasts: a night of alerts would paint every graph red.
_FIRE = 'ALERTS{FIRING,severity=~"critical|warning"}'
_ANNOTATIONS = (
    ("Alerts begin", "red", f"{_FIRE} unless {_FIRE} offset 30s", "{{target}}: {{alertname}}"),
    ("Restarts", "orange", "changes(datatier_target_start_time_seconds{SEL}[2m]) > 0", "{{target}} restarted"),
    ("Version or role", "purple", "datatier_target_info{SEL} unless last_over_time(datatier_target_info{SEL}[10m] offset 30s)",
     "{{target}}: {{version}} {{role}}"),
    ("Configuration reloads", "blue", "changes(datatier_config_last_reload_success_timestamp_seconds{JOB}[2m]) > 0", "reloaded"),
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A titled row; its panels fill lines of 24 columns from left to right."""

    title: str
    panels: Sequence[Panel]
    collapsed: bool = False


@dataclass(frozen=True)
class Page:
    """One dashboard: `stem` names its file and its uid."""

    stem: str
    title: str
    question: str
    rows: Sequence[Row]
    stores: str = ".+"  # a regular expression: whose targets the variable offers
    variables: Sequence[tuple[str, str, str]] = ()  # name, label, query
    boxes: Sequence[tuple[str, str, str]] = ()  # name, label, default: what people type in

    @property
    def uid(self) -> str:
        return f"datatier-{self.stem}"

    @property
    def panels(self) -> list[Panel]:
        return [panel for row in self.rows for panel in row.panels]


def render(page: Page) -> str:
    """Return the page as JSON, as Grafana's classic schema has it."""
    builder = (
        dashboard.Dashboard(page.title)
        .uid(page.uid)
        .description(page.question)
        .tags(["datatier"])
        .readonly()
        .time("now-1h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("Data tier")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["datatier"])
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(True)
        )
    )
    for variable in _variables(page):
        builder = builder.with_variable(variable)
    for name, colour, expr, title in _ANNOTATIONS:
        builder = builder.annotation(
            dashboard.AnnotationQuery()
            .name(name)
            .datasource(SOURCE)
            .enable(True)
            .hide(False)
            .icon_color(colour)
            .expr(expression(expr))
            .title_format(title)
            .step("15s")
        )
    document = json.loads(JSONEncoder(sort_keys=True).encode(builder.build()))
    document |= {"panels": _laid_out(page), "schemaVersion": _SCHEMA}
    return json.dumps(_plain(document), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _variables(page: Page) -> list[Any]:
    up = f'datatier_up{{store=~"{page.stores}"'
    queries = [
        ("job", "Job", f"label_values({up}}}, job)"),
        ("instance", "Instance", f'label_values({up},job=~"$job"}}, instance)'),
        ("target", "Target", f'label_values({up},job=~"$job",instance=~"$instance"}}, target)'),
    ]
    boxes = [dashboard.TextBoxVariable(name).label(label).default_value(value) for name, label, value in page.boxes]
    source = (
        dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus").hide(VariableHide.DONT_HIDE)
    )
    return [source, *(_variable(*query) for query in [*queries, *page.variables]), *boxes]


def _variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": expression(query), "refId": name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current({"selected": True, "text": ["All"], "value": ["$__all"]})  # type: ignore[arg-type]
    )


def _laid_out(page: Page) -> list[dict[str, Any]]:
    """Give the panels numbers and places: a row's line breaks where the next panel would not fit."""
    ids = count(1)
    placed: list[dict[str, Any]] = []
    y = 0
    for row in page.rows:
        head = {
            "type": "row", "id": next(ids), "title": row.title, "collapsed": row.collapsed,
            "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y}, "panels": [],
        }  # fmt: skip
        y += 1
        panels, end = _lines(row.panels, y, ids)
        placed += [head | {"panels": panels}] if row.collapsed else [head, *panels]
        y = y if row.collapsed else end
    return placed


def _lines(panels: Sequence[Panel], y: int, ids: Any) -> tuple[list[dict[str, Any]], int]:
    found: list[dict[str, Any]] = []
    x = height = 0
    for panel in panels:
        if x + panel.width > COLUMNS:
            x, y, height = 0, y + height, 0
        place = GridPos(h=panel.height, w=panel.width, x=x, y=y)
        built = panel.builder.id(next(ids)).grid_pos(place).build()
        found.append(json.loads(JSONEncoder(sort_keys=True).encode(built)))
        x, height = x + panel.width, max(height, panel.height)
    return found, y + height


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the SDK adds unasked and Grafana 10 or 11 has no word for."""
    lists = (document["annotations"]["list"], document["links"], document["templating"]["list"])
    for entry in (entry for entries in lists for entry in entries):
        for key in _UNKNOWN_TO_SOME & entry.keys():
            del entry[key]
    return document
