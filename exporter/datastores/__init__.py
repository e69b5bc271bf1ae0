"""The one registry of stores: a store's package is imported when a target needs it, its client when it connects."""

import sys
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType, ModuleType

from exporter.config.targets import Target
from exporter.datastores.base import Datastore
from exporter.queries.operation import Operation

STORES: Mapping[str, str] = MappingProxyType(
    {
        "postgres": "exporter.datastores.postgres",
        "qdrant": "exporter.datastores.qdrant",
        "neo4j": "exporter.datastores.neo4j",
        "minio": "exporter.datastores.minio",
        "pgbouncer": "exporter.datastores.pgbouncer",
    }
)


def load_client(store: str) -> ModuleType:
    """Import a store's client, which may take half a second."""
    return import_module(f"{STORES[store]}.datastore")


def is_loaded(store: str) -> bool:
    """Tell whether a store's client was imported already."""
    return f"{STORES[store]}.datastore" in sys.modules


def open_datastore(target: Target) -> Datastore:
    """Make the datastore of a configured target; no I/O happens before it is used."""
    datastore: Datastore = load_client(target.store).open_datastore(target)
    return datastore


def operations(store: str) -> Mapping[str, Operation]:
    """Return a store's operations by name; loads no store client."""
    found: Mapping[str, Operation] = import_module(STORES[store] + ".operations").OPERATIONS
    return found
