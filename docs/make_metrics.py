"""Print docs/metrics.md: every metric of the query files and the core, with its labels and meaning."""

from collections.abc import Iterable, Iterator

from exporter.config.stores import DATABASE_LABELS, STORES
from exporter.queries.core_metrics import CORE_METRICS
from exporter.queries.query import Metric, Query
from exporter.settings import read_queries

_HEAD = """# Metrics

Made from the query files by `make docs`. Every series of a store has the label `target`, those named `datatier_*`
have `store` and `target`; the labels of the configuration come on top. A value that a server does not give is no
series; 0 is a measurement. Each query lies in `queries/<store>/<query>.yaml`, and links to where its facts are
documented. "Every" is its default interval (*poll*: the target's, 15 s by default); "needs" is what the server must be,
have, or be configured with, and what the role must hold: without it there is no series, or less is seen.
"""


def page() -> str:
    lines = [_HEAD, "## The exporter and its targets", "", *_core()]
    for store in STORES:
        rows = sorted(row for query in read_queries([store]) for row in _rows(query))
        if rows:  # that of backups has none of its own
            lines += ["", f"## {store}", ""]
            lines += [
                "| metric | type | labels | meaning | every | needs | query |",
                "|---|---|---|---|---|---|---|",
                *rows,
            ]
    return "\n".join(lines) + "\n"


def _core() -> Iterator[str]:
    yield "| metric | type | labels | meaning |"
    yield "|---|---|---|---|"
    for metric, labels, _ in CORE_METRICS.values():
        yield f"| `{metric.name}` | {metric.type} | {_code(labels)} | {_cell(metric.help)} |"


def _rows(query: Query) -> Iterator[str]:
    database = (DATABASE_LABELS[query.store],) if query.scope == "database" else ()
    for metric in query.metrics:
        if metric.name not in CORE_METRICS:
            labels = _code((*database, *query.labels, *metric.labels))
            about = [_every(query), _needs(query, metric), _link(query)]
            cells = [f"`{metric.name}`", metric.type, labels, _cell(metric.help), *about]
            yield f"| {' | '.join(cells)} |"


def _every(query: Query) -> str:
    """Return the interval as people write it."""
    if query.interval is None:
        return "poll"
    size, unit = next(
        (s, u) for s, u in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")) if s == 1 or query.interval % s == 0
    )
    return f"{query.interval / size:g}{unit}"


def _needs(query: Query, metric: Metric) -> str:
    """Return the conditions of a query, the capability that one metric needs, and the privilege for all rows."""
    when = query.when.model_dump(exclude_none=True)
    conditions = [
        f"`{value}` configured" if name == "configured" else f"{name} {value}" for name, value in when.items()
    ]
    conditions += [f"capability {metric.needs}"] if metric.needs else []
    return "; ".join([*conditions, *([f"`{query.privilege}`"] if query.privilege else [])])


def _link(query: Query) -> str:
    return f"[{query.name}]({query.source})" if query.source else query.name


def _code(labels: Iterable[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
