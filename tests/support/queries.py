"""Query files as tests read them: one by one, with the operations that there are."""

from collections.abc import Mapping
from pathlib import Path

from exporter.config.thresholds import THRESHOLDS, Limit
from exporter.datastores import operations
from exporter.queries import query_file
from exporter.queries.query import Query


def load_query(path: Path, store: str, thresholds: Mapping[str, Limit] = THRESHOLDS) -> Query:
    return query_file.load_query(path, store, query_file.QueryContext(operations, thresholds))
