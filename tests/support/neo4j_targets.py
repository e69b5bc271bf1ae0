"""Neo4j servers of each version as targets."""

import pytest

from exporter.datastores import open_datastore
from exporter.datastores.base import Datastore
from testkit.neo4j import Neo4j
from tests.support.collect import Collected, target_of

VERSIONS = [
    pytest.param(name.partition(":")[2], marks=pytest.mark.servers(name)) for name in ("neo4j:5.26", "neo4j:2026.02")
]
each_version = pytest.mark.parametrize("version", VERSIONS)


def opened(server: Neo4j, **extra: object) -> Datastore:
    return open_datastore(target_of(server.target("graph", **extra)))


def difference(metric: str, before: Collected, after: Collected) -> float:
    then, now = before.value(metric, db="neo4j"), after.value(metric, db="neo4j")
    assert then is not None
    assert now is not None
    return now - then
