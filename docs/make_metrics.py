"""Print docs/metrics.md: every metric of the query files and the core, with its labels and meaning."""

from collections.abc import Iterable, Iterator

from exporter.core_metrics import CORE_METRICS
from exporter.datastores import STORES
from exporter.query import DATABASE_LABELS, Query
from exporter.query_files import load_queries

_HEAD = """# Metrics

Made from the query files by `make docs`. Every series of a store has the label `target`, those named `datatier_*`
have `store` and `target`; the labels of the configuration come on top. A value that a server does not give is no
series; 0 is a measurement. Each query lies in `queries/<store>/<query>.yaml`.
"""


def page() -> str:
    lines = [_HEAD, "## The exporter and its targets", "", *_core()]
    for store in STORES:
        queries = load_queries([store])
        lines += ["", f"## {store}", ""]
        lines += ["| metric | type | labels | meaning | query |", "|---|---|---|---|---|"]
        lines += sorted(row for query in queries for row in _rows(query))
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
            yield f"| `{metric.name}` | {metric.type} | {labels} | {_cell(metric.help)}{_note(query)} | {query.name} |"


def _note(query: Query) -> str:
    """Say where a query does not run everywhere or every time."""
    conditions = [f"{name} {value}" for name, value in query.when.model_dump(exclude_none=True).items()]
    if query.interval:
        conditions.append(f"asked every {query.interval:g} s")
    return f" ({'; '.join(conditions)})" if conditions else ""


def _code(labels: Iterable[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
