"""The operations of query files for places of backups: all make rows of one page, the facts of each set."""

from collections.abc import Mapping
from types import MappingProxyType

from exporter.datastores.backup_sets import rows
from exporter.queries.operation import Operation

OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "sets": Operation(rows.set_rows, reads=("sets",)),
        "formats": Operation(rows.format_rows, reads=("sets",)),
        "rejected": Operation(rows.rejected_rows, reads=("sets",)),
        "retention": Operation(rows.retention_rows, reads=("sets",)),
        "wal": Operation(rows.wal_rows, reads=("sets",)),
        "copies": Operation(rows.copy_rows, reads=("sets",)),
    }
)
