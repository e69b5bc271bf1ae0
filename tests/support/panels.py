"""What a dashboard asks, as Grafana would send it: the panels' queries with the page's variables in place."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.support.paths import ROOT

DASHBOARDS = ROOT / "dashboards"
ALL = ".+"
BUILT_IN = {"__rate_interval": "1m", "__interval": "15s", "__range": "5m", "__range_s": "300"}


class Asked(NamedTuple):
    """One query of one panel."""

    page: str
    panel: str
    ref: str
    expr: str
    instant: bool


def pages() -> dict[str, dict[str, Any]]:
    """Return every committed dashboard by its stem."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(DASHBOARDS.glob("*.json"))}


def panels(page: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a page's panels, those of collapsed rows too, the rows themselves left out."""
    for panel in page["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def asked(stem: str, page: Mapping[str, Any], **values: str) -> Iterator[Asked]:
    """Yield every query of a page; a variable without a value is All, as Grafana sends it."""
    names = {variable["name"]: ALL for variable in page["templating"]["list"]}
    for panel in panels(page):
        for target in panel["targets"]:
            expr = substituted(target["expr"], {**names, **BUILT_IN, **values})
            yield Asked(stem, panel["title"], target["refId"], expr, bool(target.get("instant")))


def substituted(expr: str, values: Mapping[str, str]) -> str:
    """Put values in place of $name and ${name}; raise KeyError for an unknown name."""
    return re.sub(r"\$\{(\w+)\}|\$([a-zA-Z_]\w*)", lambda found: values[found[1] or found[2]], expr)
