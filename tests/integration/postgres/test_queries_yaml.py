"""The same queries.yaml, the same server: postgres_exporter 0.11.1 and we give the same series."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.queries.histogram import HistogramValue
from exporter.queries.postgres_exporter.loader import load_queries_yaml
from testkit import Unavailable
from testkit.postgres import Postgres
from testkit.postgres_exporter import PostgresExporter
from testkit.session import Servers
from tests.support.collect import Collected, collect
from tests.support.exporter_process import Exporter, Samples
from tests.support.paths import ROOT

FILES = ROOT / "tests" / "support" / "queries_yaml"
NOT_OF_A_FILE = ("go_", "process_", "promhttp_", "pg_exporter_", "postgres_exporter_", "pg_up", "pg_static")
SCENE = """
CREATE SCHEMA pgbouncer;
CREATE VIEW pgbouncer.pools AS
    SELECT * FROM (VALUES
        ('bouncer1', 'app', 'web', 12, 3, 10, 4, 'transaction'), ('bouncer1', 'app', 'batch', 1, 0, 1, 0, 'session')
    ) AS p(pgbouncer_server, database, user_name, cl_active, cl_waiting, sv_active, maxwait, pool_mode);
CREATE EXTENSION pg_stat_statements;
GRANT USAGE ON SCHEMA pgbouncer TO monitor;
GRANT SELECT ON ALL TABLES IN SCHEMA pgbouncer, public TO monitor;
SELECT pg_create_physical_replication_slot('standby_of_old', true);
VACUUM products;
SELECT 'the statement to be compared' FROM orders;
"""
# What 0.11.1 reads and then cannot use: texts in columns of these usages.
ONLY_OURS = {"ccp_pgbouncer_pools_pool_mode", "ccp_pgbouncer_timeouts_timeout_milliseconds"}
ONLY_THEIRS = {"pg_newest_servers_only_answer"}  # of 0.11.1, which reads runonserver and asks all the same
MOVING = {"pg_slots_retained_bytes"}  # the server writes WAL of its own accord


@pytest.fixture(scope="module")
def server(servers: Servers) -> Iterator[Postgres]:
    """Give a server as old as the other exporter, whose numbers do not change meanwhile."""
    with servers.private_postgres("15", {"autovacuum": "off"}) as server:
        server.psql(SCENE, "app")
        server.psql("CHECKPOINT")
        yield server


def theirs(servers: Servers, server: Postgres, file: Path) -> Samples:
    """Read their page; NaN is what they say of NULL, and of NaN."""
    try:
        with PostgresExporter(server, "app", file) as peer:
            page = peer.page()
    except Unavailable as reason:
        servers.skip("prometheus-postgres-exporter", str(reason))
    found: Samples = {}
    # A parser would add _total to the names of their counters.
    for family in text_string_to_metric_families(page.replace(" counter\n", " untyped\n")):
        for sample in family.samples:
            labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "server" and v))
            if not sample.name.startswith(NOT_OF_A_FILE):
                found.setdefault(sample.name, {})[labels] = sample.value
    return found


async def ours(server: Postgres, file: Path, **settings: object) -> Collected:
    target = server.target("db", url=server.url.replace("/postgres", "/app"), **settings)
    return await collect(target, [query.name for query in load_queries_yaml(file)], (file,))


def series(collected: Collected) -> Samples:
    """Write histograms as their series, and leave out labels without a value, as a page does."""
    found: Samples = {}
    for name, values in collected.samples.items():
        for pairs, value in values.items():
            labels = tuple((key, text) for key, text in pairs if text)
            if not isinstance(value, HistogramValue):
                assert value is not None
                found.setdefault(name, {})[labels] = value
                continue
            assert value.sum is not None
            found.setdefault(f"{name}_sum", {})[labels] = value.sum
            found.setdefault(f"{name}_count", {})[labels] = value.buckets[-1][1]
            for bound, count in value.buckets:
                le = "+Inf" if math.isinf(bound) else f"{bound:g}"
                found.setdefault(f"{name}_bucket", {})[tuple(sorted((*labels, ("le", le))))] = count
    return found


@pytest.mark.parametrize("name", ["statements", "tables", "business"])
async def test_the_same_file_gives_the_same_series(servers: Servers, server: Postgres, name: str) -> None:
    file = FILES / f"{name}.yaml"
    peer = theirs(servers, server, file)
    collected = await ours(server, file, databases={"include": ["app"]})
    mine = series(collected)

    assert collected.failures == {}
    assert mine.keys() - peer.keys() == ONLY_OURS & mine.keys()
    for metric in peer.keys() - ONLY_THEIRS:
        known = {labels: value for labels, value in peer[metric].items() if not math.isnan(value)}
        own = {labels: value for labels, value in mine.get(metric, {}).items() if not math.isnan(value)}
        assert own.keys() == known.keys(), metric
        if metric not in MOVING:
            assert own == pytest.approx(known), metric


async def test_the_files_have_every_usage_and_option() -> None:
    """The comparison would be worth little of a file without."""
    texts = "".join(file.read_text() for file in FILES.glob("*.yaml"))
    words = ["LABEL", "COUNTER", "GAUGE", "HISTOGRAM", "MAPPEDMETRIC", "DURATION", "DISCARD"]

    assert [word for word in [*words, "master:", "cache_seconds:", "runonserver:"] if word not in texts] == []


async def test_usages_that_0_11_1_ignores_have_values(server: Postgres) -> None:
    statements = series(await ours(server, FILES / "statements.yaml"))

    assert set(statements["ccp_pgbouncer_pools_pool_mode"].values()) == {1.0, 2.0}
    assert statements["ccp_pgbouncer_timeouts_timeout_milliseconds"] == {(("name", "query_wait"),): 120_000.0}


async def test_null_is_no_sample_and_nan_is_one(servers: Servers, server: Postgres) -> None:
    file = FILES / "business.yaml"
    peer, mine = theirs(servers, server, file), series(await ours(server, file))

    assert all(map(math.isnan, peer["shop_orders_returned"].values()))
    assert "shop_orders_returned" not in mine
    assert all(map(math.isnan, mine["shop_prices_margin"].values()))


async def test_a_version_range_is_honoured(server: Postgres) -> None:
    collected = await ours(server, FILES / "tables.yaml")

    assert collected.unsupported == {"tables.yaml:pg_newest_servers_only": "unsupported: needs version >=99.0.0"}
    assert "pg_newest_servers_only_answer" not in collected.samples


async def test_rows_that_say_their_database_come_from_all_of_them(server: Postgres) -> None:
    mine = series(await ours(server, FILES / "tables.yaml"))
    server.psql("CREATE TABLE products (id int); INSERT INTO products VALUES (1)")
    both = series(await ours(server, FILES / "tables.yaml"))
    server.psql("DROP TABLE products")

    def databases(samples: Samples) -> set[str]:
        return {dict(labels)["datname"] for labels in samples["pg_stat_user_tables_seq_scan"]}

    assert databases(mine) == {"app"}
    assert databases(both) == {"app", "postgres"}
    assert {dict(labels)["current_database"] for labels in mine["pg_table_bloat_real_size"]} == {"app"}


def test_the_service_serves_all_files_beside_its_own_queries(server: Postgres) -> None:
    """What they declare replaces the built-in query of the name; no series is there twice."""
    target = server.target("shop", url=server.url.replace("/postgres", "/app"))
    files = [str(FILES / f"{name}.yaml") for name in ("statements", "tables", "business")]
    with Exporter([target], "1s", queries=files) as exporter:
        exporter.wait_up("shop")
        wanted = {"shop_orders_count", "pg_table_bloat_real_size", "pg_process_idle_seconds_bucket", "pg_locks_count"}
        exporter.wait(lambda: wanted <= exporter.samples().keys(), "series of each file", 60)
        page = exporter.get("/metrics", Accept="application/openmetrics-text;version=1.0.0").body.decode()
        failing = exporter.health()["targets"]["shop"]["failing_queries"]

    assert "# TYPE shop_orders_count gauge\n" in page
    assert 'pg_process_idle_seconds_bucket{target="shop",application_name="web",le="5.0"} 1.0\n' in page
    assert failing == []
