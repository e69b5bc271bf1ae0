"""The committed dashboards: current and laid out well."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dashboards.kit import COLUMNS, render
from dashboards.pages import PAGES
from dashboards.panels import MOST_SERIES
from dashboards.style import limit
from exporter.config.thresholds import THRESHOLDS
from tests.support.panels import asked, pages, panels, substituted
from tests.support.promql import unknown_words

PANEL_TYPES = {"stat", "timeseries", "bargauge", "table", "state-timeline", "heatmap"}
STEMS = [page.stem for page in PAGES]
COUNTER = re.compile(r"\b(\w+_total)\b(?!\{[^}]*\}\[)")


@pytest.fixture(params=STEMS)
def page(request: pytest.FixtureRequest) -> dict[str, Any]:
    return pages()[request.param]


@pytest.mark.parametrize("made", PAGES, ids=STEMS)
def test_the_files_are_current(made: Any) -> None:
    """Each JSON file is what `make docs` would write."""
    assert (Path("dashboards") / f"{made.stem}.json").read_text(encoding="utf-8") == render(made)


def test_every_page_is_committed_once() -> None:
    assert sorted(pages()) == sorted(STEMS)
    assert [page["uid"] for page in pages().values()] == [f"datatier-{stem}" for stem in pages()]


def test_panels_say_what_they_show(page: dict[str, Any]) -> None:
    """Title, the question it answers, a unit, the word for no data; and only panels that every Grafana has."""
    poor = [
        panel["title"]
        for panel in panels(page)
        if not panel["title"]
        or not panel["description"].endswith((".", "?"))
        or len(panel["description"]) < 20
        or not panel["fieldConfig"]["defaults"].get("unit")
        or panel["fieldConfig"]["defaults"].get("noValue") != "no data"
        or panel["type"] not in PANEL_TYPES
        or panel["datasource"] != {"type": "prometheus", "uid": "${datasource}"}
    ]

    assert poor == []


def test_ids_are_unique(page: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in page["panels"]] + [
        inner["id"] for row in page["panels"] for inner in row.get("panels", [])
    ]

    assert [number for number, count in Counter(ids).items() if count > 1] == []


def test_titles_are_unique(page: dict[str, Any]) -> None:
    """Two panels of one name could not be distinguished in a conversation."""
    titles = Counter((panel["title"], panel["type"]) for panel in panels(page))

    assert [title for title, count in titles.items() if count > 1] == []


def test_the_grid_has_neither_overlaps_nor_holes(page: dict[str, Any]) -> None:
    """Every line is filled by panels of one height, from the left edge to the right."""
    lines: dict[tuple[int, int], list[dict[str, int]]] = {}
    collapsed = [row for row in page["panels"] if row["type"] == "row" and row["collapsed"]]
    for group in [page["panels"], *(row["panels"] for row in collapsed)]:
        for panel in group:
            lines.setdefault((id(group), panel["gridPos"]["y"]), []).append(panel["gridPos"])

    for places in lines.values():
        ordered = sorted(places, key=lambda place: place["x"])
        assert len({place["h"] for place in ordered}) == 1
        assert ordered[0]["x"] == 0
        assert [place["x"] + place["w"] for place in ordered] == [*(p["x"] for p in ordered[1:]), COLUMNS]


def test_titles_fit(page: dict[str, Any]) -> None:
    """A title is not longer than its panel on a screen of 1600 pixels, a sixth of a column to a letter."""
    cut = [panel["title"] for panel in panels(page) if len(panel["title"]) > 6 * panel["gridPos"]["w"]]

    assert cut == []


def test_tables_join_their_queries(page: dict[str, Any]) -> None:
    """Each query is summed up by the same labels: else each column would come with rows of its own."""
    tables = {panel["title"]: panel["targets"] for panel in panels(page) if panel["type"] == "table"}
    outer = {
        title: [found for target in targets for found in re.findall(r"by \(([^)]*)\)", target["expr"])[:1]]
        for title, targets in tables.items()
    }
    labels = {title: {re.sub(r"\s", "", found) for found in listed} for title, listed in outer.items()}

    assert {title: found for title, found in labels.items() if len(found) != 1} == {}
    assert [
        title for title, targets in tables.items() if any(" by (" not in target["expr"] for target in targets)
    ] == []


def test_labels_are_text_and_one_column_gives_way(page: dict[str, Any]) -> None:
    """A query id is not five quintillion, and a table is as wide as its panel."""
    for panel in panels(page):
        if panel["type"] != "table":
            continue
        renamed = panel["transformations"][1]["options"]["renameByName"]
        columns = {
            override["matcher"]["options"]: {entry["id"]: entry["value"] for entry in override["properties"]}
            for override in panel["fieldConfig"]["overrides"]
        }
        shown = [column for column in columns.values() if not column.get("custom.hidden")]

        assert {columns[title]["unit"] for name, title in renamed.items() if not name.startswith("Value")} == {"string"}
        assert any("custom.width" not in column for column in shown), panel["title"]


def test_queries_respect_the_variables(page: dict[str, Any]) -> None:
    """Nothing is shown of another job, instance or target than those chosen."""
    strangers = [
        f"{panel['title']}: {selector}"
        for panel in panels(page)
        for target in panel["targets"]
        for selector in re.findall(r"\w+\{([^}]*)\}", target["expr"])
        if not ('job=~"$job"' in selector and 'instance=~"$instance"' in selector) and "alertname=" not in selector
        and 'component="data-tier"' not in selector
    ]  # fmt: skip

    assert strangers == []


def test_panels_use_words_that_are_declared(page: dict[str, Any]) -> None:
    """Every metric and label of a panel is one that a query file, the core or a recording rule has."""
    asking = [(panel["title"], target["expr"]) for panel in panels(page) for target in panel["targets"]]
    asking += [(annotation["name"], annotation["expr"]) for annotation in page["annotations"]["list"]]
    problems = [
        f"{title}: {problem}"
        for title, expr in asking
        for problem in unknown_words(substituted(expr, dict.fromkeys(re.findall(r"\$(\w+)", expr), "1m")))
    ]

    assert problems == []


def test_counters_are_rated(page: dict[str, Any]) -> None:
    """A counter's value since some start means nothing."""
    bare = [
        f"{panel['title']}: {name}"
        for panel in panels(page)
        for target in panel["targets"]
        for name in COUNTER.findall(target["expr"])
    ]

    assert bare == []


def test_silence_is_not_zero(page: dict[str, Any]) -> None:
    """No query turns an exporter that is gone into a reassuring 0."""
    assert [query.panel for query in asked("", page) if "vector(0)" in query.expr] == []


def test_graphs_stay_readable(page: dict[str, Any]) -> None:
    """What may have many series is cut to a dozen."""
    wide = [
        f"{panel['title']}: {target['legendFormat']}"
        for panel in panels(page)
        if panel["type"] in ("timeseries", "bargauge")
        for target in panel["targets"]
        if len(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) > 2 and "topk(" not in target["expr"]
    ]

    assert wide == []
    assert MOST_SERIES == 12


def test_links_lead_to_pages(page: dict[str, Any]) -> None:
    """A link names a dashboard that is here and keeps the data source and the time."""
    text = json.dumps(page)
    urls = re.findall(r'"url": "(/d/[^"]*)"', text)
    uids = {made["uid"] for made in pages().values()}

    for url in urls:
        uid = url.removeprefix("/d/").partition("?")[0]
        assert uid in uids or uid == "datatier-${__data.fields.page}"
        assert "var-datasource=${datasource}" in url
        assert "${__url_time_range}" in url


def test_limits_are_those_of_health() -> None:
    """Colours change where /health changes its mind."""
    for name, found in THRESHOLDS.items():
        values = [value for value, _ in limit(name)]

        assert values == [None, found.warn, *([found.fail] if found.fail is not None else [])]
