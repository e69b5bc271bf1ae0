"""The stores: one package each, imported when a target needs it; beside the packages is what they share.

A datastore knows queries and rows, and nothing of snapshots, schedules or pages.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType

from exporter.config.stores import STORES, Target
from exporter.datastores.base import Datastore
from exporter.queries.operation import Operation


def load_client(store: str) -> ModuleType:
    """Import a store's client, which may take half a second."""
    return import_module(f"{STORES[store].package}.datastore")


def is_loaded(store: str) -> bool:
    """Return whether a store's client was imported already."""
    return f"{STORES[store].package}.datastore" in sys.modules


def open_datastore(target: Target) -> Datastore:
    """Make the datastore of a configured target; no I/O happens before it is used."""
    datastore: Datastore = load_client(target.store).open_datastore(target)
    return datastore


def operations(store: str) -> Mapping[str, Operation]:
    """Return a store's operations by name; loads no store client."""
    found: Mapping[str, Operation] = import_module(f"{STORES[store].package}.operations").OPERATIONS
    return found
