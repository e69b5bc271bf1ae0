"""A whole data tier at work: every store, watched by an exporter that Prometheus scrapes."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.demo import load, stores
from exporter.queries.loader import builtin_folder
from testkit.certificates import Authority
from testkit.minio import Minio
from testkit.neo4j import Neo4j
from testkit.pgbouncer import Pgbouncer
from testkit.postgres import Postgres
from testkit.qdrant import Qdrant
from testkit.session import Servers
from tests.support.background import meanwhile
from tests.support.exporter_process import Exporter
from tests.support.live_backups import ARCHIVE_COMMAND, place_of
from tests.support.minio_admin import admin, s3
from tests.support.qdrant_admin import Admin
from tests.support.tls_servers import TlsPostgres

HERE = Path(__file__).parent
SETTINGS = {
    "max_prepared_transactions": "5",
    "wal_level": "logical",
    "archive_mode": "on",
    "archive_command": ARCHIVE_COMMAND,
}
EXPECT = {
    "role": "primary",
    "replicas": 1,
    "settings": {"wal_level": "logical"},
    "extensions": {"pg_stat_statements": "1.9"},
    "tables": ["app:orders"],
    "indexes": ["app:orders_customer_id_idx"],
    "partitioned_tables": {"app:events": {}},
}
CANARY = """
operation: search
params: {collection: products, limit: 10}
timing: true
"""
HASTY = {
    "postgres/indexes_unused": ("days: 7", "days: 0"),
    "postgres/index_hit_ratio": ("interval: 5m", "interval: 15s"),
}


@dataclass(frozen=True)
class Stage:
    """What runs, by the names of its targets: shop-1, shop-2, pool, graph, objects, search, nas."""

    primary: Postgres
    replica: Postgres
    pool: Pgbouncer
    graph: Neo4j
    objects: Minio
    search: Qdrant
    exporter: Exporter


@contextmanager
def staged(servers: Servers, folder: Path) -> Iterator[Stage]:
    """Start everything and keep it at work; the exporter polls every five seconds."""
    for name in ("httpx", "neo4j.notifications"):  # the work's own: thousands of lines for one of the test
        logging.getLogger(name).setLevel(logging.WARNING)
    with ExitStack() as stack:
        primary = stack.enter_context(servers.private_postgres("18", SETTINGS))
        _prepare(primary, folder)
        replica = stack.enter_context(primary.replica())
        pool = stack.enter_context(servers.private_pgbouncer(primary))
        graph = stack.enter_context(servers.private_neo4j("5.26"))
        objects = stack.enter_context(servers.private_minio(4))
        search = stack.enter_context(servers.private_qdrant())
        work = [load.shop(primary, replica), _through(pool), *(stores.work(one) for one in (graph, objects, search))]
        stack.enter_context(meanwhile(*work))
        _fill(objects, search)
        targets = [
            primary.target(
                "shop-1", url=f"{primary.url}?sslmode=require", disk_size="1TiB", sample_activity=True, expect=EXPECT
            ),
            replica.target("shop-2"),
            pool.target("pool"),
            graph.target("graph"),
            objects.target("objects"),
            search.target("search"),
            place_of(primary, "shop-1"),
        ]
        exporter = stack.enter_context(Exporter(targets, "5s", queries=[str(_queries(folder))]))
        names = {str(target["name"]) for target in targets}
        exporter.wait(lambda: names <= _up(exporter), "all stores to be up", 120)
        yield Stage(primary, replica, pool, graph, objects, search, exporter)


def _up(exporter: Exporter) -> set[str]:
    return {dict(labels)["target"] for labels, up in exporter.samples().get("datatier_up", {}).items() if up}


def _prepare(primary: Postgres, folder: Path) -> None:
    """Make what the queries look for, and let the server show a certificate."""
    primary.psql("CREATE EXTENSION pg_buffercache")
    primary.psql(load.ROLE, "app")
    primary.psql((HERE / "prepared.sql").read_text(), "app")
    for role in ("postgres", "shop"):  # all who write: a standby that is missed must hold up none of them
        primary.psql(f"ALTER ROLE {role} SET synchronous_commit = local")
    authority = Authority(folder)
    asyncio.run(TlsPostgres(primary).show(authority.issue("127.0.0.1")))


def _fill(objects: Minio, search: Qdrant) -> None:
    """Give a bucket a quota, and Qdrant two peers that exist on paper, and a snapshot."""
    client = s3(objects)
    client.make_bucket("limited")
    admin(objects).bucket_quota_set(bucket="limited", size=2**30)
    search.scene(peers=3)
    qdrant = Admin(search)
    qdrant.create("places")
    qdrant.upsert("places", range(50))
    qdrant.send("POST", "/collections/places/snapshots")


def _queries(folder: Path) -> Path:
    """Write a search that is timed, and queries of ours that need not wait as long as theirs."""
    texts = {"qdrant/search_products": CANARY}
    for name, (slow, hasty) in HASTY.items():
        texts[name] = (builtin_folder() / f"{name}.yaml").read_text().replace(slow, hasty)
        assert hasty in texts[name]
    for name, text in texts.items():
        file = folder / "queries" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "queries"


async def _through(pool: Pgbouncer) -> None:
    """Ask something through the pool, ten times a second."""
    while True:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            connection = await asyncpg.connect(pool.dsn("app"), ssl=False, statement_cache_size=0, timeout=5)
            try:
                while True:
                    await connection.fetch("SELECT count(*) FROM customers", timeout=5)
                    await asyncio.sleep(0.1)
            finally:
                connection.terminate()
        await asyncio.sleep(1)
