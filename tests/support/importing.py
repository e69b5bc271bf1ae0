"""Files of postgres_exporter, read for a test."""

from pathlib import Path

from exporter.queries.postgres_exporter.loader import load_queries_yaml
from exporter.queries.postgres_exporter.query import ImportedQuery
from exporter.queries.query import Row, Value
from tests.support.factories import write

SHOP = """
shop:
  query: SELECT kind, sold, price FROM sales
  metrics:
    - kind: {usage: LABEL, description: Kind}
    - sold: {usage: COUNTER, description: Sold so far}
    - price: {usage: GAUGE}
"""


def load(folder: Path, text: str) -> list[ImportedQuery]:
    return list(load_queries_yaml(write(folder / "queries.yaml", text)))


def one(folder: Path, text: str) -> ImportedQuery:
    [query] = load(folder, text)
    return query


def samples(query: ImportedQuery, *rows: Row) -> dict[str, list[Value]]:
    return {family.metric.name: list(family.values) for family in query.samples(rows)}
