"""Neo4j, Community first: Cypher over Bolt, and the JVM's beans through `dbms.queryJmx`."""

import sys
from types import ModuleType


class _Nothing(ModuleType):
    """Stand in for the driver's module of optional dependencies: none is there."""

    def __getattr__(self, name: str) -> None:
        return None


# The driver imports numpy where it is installed, and qdrant-client brings it: 13 MiB and 0.2 s for types we never read.
sys.modules.setdefault("neo4j._optional_deps", _Nothing("neo4j._optional_deps"))
