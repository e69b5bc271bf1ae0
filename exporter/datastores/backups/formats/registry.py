"""The formats by the names that users write."""

from collections.abc import Mapping
from types import MappingProxyType

from exporter.datastores.backups.formats import auto, report
from exporter.datastores.backups.look import Format

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "auto": auto.read,
        "report": report.read,
    }
)
