"""Query files as tests read them: one by one, with the operations that there are."""

from collections.abc import Mapping
from pathlib import Path

from exporter.config.thresholds import THRESHOLDS, Limit
from exporter.datastores import operations
from exporter.queries import loader
from exporter.queries.query import Query


def load_query(path: Path, store: str, thresholds: Mapping[str, Limit] = THRESHOLDS) -> Query:
    return loader.load_query(path, store, loader.Known(operations, thresholds))
