"""The operations of query files for places of backups: most make rows of one page, the facts of each set."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from exporter.datastores.backup_sets import rows
from exporter.datastores.backups.places.place import DiskUse
from exporter.queries.operation import Operation
from exporter.queries.query import Row


def disk_rows(use: DiskUse | None) -> Sequence[Row]:
    """Return how full the place is: used_ratio."""
    return [] if use is None else [{"used_ratio": use.used_ratio}]


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "sets": Operation(rows.set_rows, reads=("sets",)),
        "formats": Operation(rows.format_rows, reads=("sets",)),
        "rejected": Operation(rows.rejected_rows, reads=("sets",)),
        "retention": Operation(rows.retention_rows, reads=("sets",)),
        "wal": Operation(rows.wal_rows, reads=("sets",)),
        "copies": Operation(rows.copy_rows, reads=("sets",)),
        "disk": Operation(disk_rows, reads=("disk",)),
    }
)
