"""The formats by the names that users write."""

from collections.abc import Mapping
from types import MappingProxyType

from exporter.datastores.backups.formats import auto, report, wal
from exporter.datastores.backups.formats.base_backups import barman, basebackup, pgbackrest, wal_g
from exporter.datastores.backups.look import Format

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "auto": auto.read,
        "barman": barman.read,
        "basebackup": basebackup.read,
        "neo4j": auto.read,
        "pg_dump": auto.read,
        "pgbackrest": pgbackrest.read,
        "qdrant": auto.read,
        "report": report.read,
        "sql": auto.read,
        "wal": wal.read,
        "wal-g": wal_g.read,
    }
)
