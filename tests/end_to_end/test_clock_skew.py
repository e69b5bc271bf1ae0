"""How far a server's clock is from ours, as each store's protocol tells it."""

import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import exporter.datastores.http_client
import exporter.datastores.neo4j.datastore
import exporter.datastores.postgres.datastore
from exporter.config.config import Config
from exporter.datastores import open_datastore
from testkit.session import Servers

STORES: dict[str, tuple[ModuleType, Any]] = {
    "postgres": (exporter.datastores.postgres.datastore, lambda servers: servers.postgres().target("t")),
    "qdrant": (exporter.datastores.http_client, lambda servers: servers.qdrant().target("t")),
    "minio": (exporter.datastores.http_client, lambda servers: servers.minio(1).target("t")),
    "neo4j": (exporter.datastores.neo4j.datastore, lambda servers: servers.neo4j().target("t")),
}


@pytest.mark.servers("postgres:18", "qdrant", "minio:1", "neo4j:5.26")
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("ours", [0.0, -1200.0])
async def test_every_store_tells(servers: Servers, monkeypatch: pytest.MonkeyPatch, store: str, ours: float) -> None:
    """Our own clock is put back, as a test cannot put the servers' forward."""
    module, target_of = STORES[store]
    clock = SimpleNamespace(time=lambda: time.time() + ours, monotonic=time.monotonic)
    monkeypatch.setattr(module, "time", clock)
    target = Config.model_validate({"targets": [target_of(servers)]}).targets[0]
    async with open_datastore(target) as datastore:
        assert datastore.clock_skew is None
        await datastore.ping()

        assert datastore.clock_skew == pytest.approx(-ours, abs=2.0)
