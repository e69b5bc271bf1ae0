"""The registry of stores: each has a module with its descriptor, STORE, and a line in STORE_MODULES.

All else that differs from store to store outside of its package derives from the descriptor.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Union

from exporter.config.stores.store import Store
from exporter.config.targets import TargetBase

STORE_MODULES = [
    "exporter.config.stores.postgres",
    "exporter.config.stores.qdrant",
    "exporter.config.stores.neo4j",
    "exporter.config.stores.minio",
    "exporter.config.stores.pgbouncer",
    "exporter.config.stores.backups",
]


def _stores() -> Mapping[str, Store]:
    found = [import_module(name).STORE for name in STORE_MODULES]
    return MappingProxyType({store.name: store for store in found})


STORES = _stores()
DATABASE_LABELS: Mapping[str, str] = MappingProxyType(
    {store.name: store.database_label for store in STORES.values() if store.database_label}
)

if TYPE_CHECKING:
    Target = TargetBase
else:
    Target = Union[tuple(store.target for store in STORES.values())]  # noqa: UP007 - there is no other way at run time
