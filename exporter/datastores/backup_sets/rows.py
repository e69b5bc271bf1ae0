"""The rows that the facts of sets become; the columns are those of queries/backups/*.yaml."""

from collections.abc import Sequence

from exporter.datastores.backup_sets.observed import ObservedSet
from exporter.queries.query import Row


def set_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    raise NotImplementedError


def format_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    raise NotImplementedError


def rejected_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    raise NotImplementedError


def retention_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    raise NotImplementedError


def wal_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    raise NotImplementedError


def copy_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    raise NotImplementedError
