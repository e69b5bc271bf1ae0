"""The formats by the names that users write."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from exporter.config.backup_policy import Format as FormatName
from exporter.datastores.backups.formats import registry
from exporter.datastores.backups.look import Format, Found, Look
from exporter.errors import QueryError


async def _unread(look: Look) -> Found:
    raise QueryError("unsupported", f"format {look.chosen.format} cannot be read yet")


FORMATS: Mapping[str, Format] = MappingProxyType({**dict.fromkeys(get_args(FormatName), _unread), **registry.FORMATS})
