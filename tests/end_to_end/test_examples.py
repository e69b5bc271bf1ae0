"""The examples that people start from: each loads, runs on every version, and says what its comment promises."""

import re
from collections.abc import Iterator

import pytest

from exporter.queries.loader import builtin_folder
from exporter.settings import read_queries
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import Collected, collect
from tests.support.exporter_process import Exporter
from tests.support.paths import DOCS

EXAMPLES = DOCS / "examples"
NAMES = {path.stem for path in (EXAMPLES / "postgres").glob("*.yaml")}
SCENE = """
CREATE TABLE carriers (code text PRIMARY KEY);
CREATE TABLE shipments (id int PRIMARY KEY, order_id bigint, carrier text);
INSERT INTO carriers VALUES ('post');
INSERT INTO shipments VALUES (1, 1, 'post'), (2, -1, 'post'), (3, -2, NULL), (4, NULL, 'pigeon');
GRANT SELECT ON orders, customers, shipments, carriers TO monitor;
SELECT pg_create_physical_replication_slot('standby', true);
"""


@pytest.fixture(scope="module", params=["14", "15", "16", "17", "18"])
def server(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Postgres]:
    with servers.private_postgres(request.param, {"autovacuum": "off"}) as server:
        server.psql(SCENE + _told("health_function"), "app")
        server.psql(_told("restore_tests"))
        yield server


def _told(name: str) -> str:
    """Return the statements that the example's comment tells its reader to run."""
    lines = re.findall(r"^#   (.*)$", (EXAMPLES / f"postgres/{name}.yaml").read_text(), re.MULTILINE)
    return "\n".join(lines)


async def examples(server: Postgres) -> Collected:
    return await collect(server.target("db"), NAMES, (EXAMPLES,))


async def test_each_example_gives_what_it_promises(server: Postgres) -> None:
    collected = await examples(server)

    assert collected.failures == {}
    assert collected.unsupported == {}
    assert collected.series.keys() == NAMES
    assert collected.value("app_health_value", datname="app", check_name="new_orders") == 200
    assert collected.value("app_health_threshold", datname="app", check_name="new_orders") == 500
    assert collected.value("app_orphaned_rows", datname="app", reference="shipments.order_id") == 2
    assert collected.value("app_orphaned_rows", datname="app", reference="shipments.carrier") == 1
    assert collected.value("shop_orders", datname="app", status="new") == 200
    assert collected.value("shop_orders", datname="app", status="paid") == 0
    assert collected.value("shop_oldest_order_timestamp_seconds", datname="app", status="paid") is None
    assert collected.value("shop_oldest_order_timestamp_seconds", datname="app", status="new") == pytest.approx(
        float(server.psql("SELECT extract(epoch FROM min(placed_at)) FROM orders WHERE status = 'new'", "app")[0][0])
    )
    assert collected.statuses == {
        "app": "pass", "orphanedRows": "warn", "orderLookup": "pass", "orders-restore": "fail",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "status", "finding", "failed"),
    [
        ("", "fail", "it was never tried", 0),
        ("(now() - interval '2 days', true, 512, '')", "pass", None, 0),
        ("(now() - interval '8 days', true, 512, '')", "warn", "it is overdue", 0),
        ("(now() - interval '15 days', true, 512, '')", "fail", "it is long overdue", 0),
        ("(now(), true, 901, '')", "warn", "it took too long", 0),
        (
            "(now() - interval '1 day', true, 512, ''), (now(), false, 3, 'disk full')",
            "fail",
            "it failed: disk full",
            1,
        ),
    ],
)
async def test_restore_tests_are_judged_by_the_newest(
    server: Postgres, rows: str, status: str, finding: str | None, failed: int
) -> None:
    server.psql("TRUNCATE restore_tests")
    if rows:
        values = rows.replace("(now(", "('orders-restore', now(")
        server.psql(f"INSERT INTO restore_tests (test, finished, ok, seconds, message) VALUES {values}")
    collected = await collect(server.target("db"), ["restore_tests"], (EXAMPLES,))
    of = {"check": "orders-restore", "of": "orders"}

    assert collected.failures == {}
    assert collected.statuses == {"orders-restore": status}
    assert collected.findings.get("restore_tests", ()) == (() if finding is None else (f"orders-restore: {finding}",))
    assert collected.value("datatier_backup_newest_rejected", reason="failed", **of) == failed
    assert (collected.value("datatier_backup_last_success_timestamp_seconds", **of) is None) == (rows == "")
    assert collected.value("datatier_backup_interval_seconds", **of) == pytest.approx(7.7 * 86400)


async def test_the_old_names_have_the_values_of_the_new_ones(server: Postgres) -> None:
    """Read one after the other on a server that works: what is counted may have grown a little in between."""
    old = await examples(server)
    new = await collect(server.target("db"), ["checkpoints", "replication_slot_details", "replication_slot_wal_status"])
    slot = {"slot_name": "standby", "slot_type": "physical"}
    names = [name for name in old.samples if name.startswith("pg_stat_bgwriter_")]
    position = old.value("pg_replication_slot_slot_current_wal_lsn", **slot)

    assert len(names) == 11
    for name in names:
        if name.rpartition("_")[2] not in ("backend", "alloc"):  # these move by our own reading
            assert is_soon_after(new.value(f"{name}_total"), old.value(name), 100), name
    assert (old.value("pg_stat_bgwriter_buffers_alloc") or 0) > 0
    assert old.value("pg_replication_slot_slot_is_active", **slot) == 0
    assert old.value("pg_replication_slot_wal_status", wal_status="reserved", **slot) == 1
    assert is_soon_after(new.value("pg_replication_slots_slot_current_wal_lsn", **slot), position, 2**20)


def is_soon_after(new: float | None, old: float | None, most: float) -> bool:
    return new is not None and old is not None and old <= new <= old + most


def test_no_example_replaces_a_built_in_query() -> None:
    """They can be taken as they are, all together."""
    built_in = {query.name for query in read_queries(["postgres"])}
    both = {query.name for query in read_queries(["postgres"], [EXAMPLES])}

    assert both == built_in | NAMES
    assert not NAMES & {path.stem for path in (builtin_folder() / "postgres").iterdir()}


def test_the_readme_names_every_example() -> None:
    assert set(re.findall(r"\(postgres/(\w+)\.yaml\)", (EXAMPLES / "README.md").read_text())) == NAMES


def test_the_service_shows_their_checks(servers: Servers) -> None:
    """What is not well is named; the canary's duration is a histogram."""
    with servers.private_postgres("18") as server:
        server.psql(SCENE + _told("health_function"), "app")
        server.psql(_told("restore_tests"))
        server.psql("INSERT INTO orders (customer_id) SELECT 1 FROM generate_series(1, 400)", "app")
        with Exporter([server.target("db")], "1s", queries=[str(EXAMPLES)]) as exporter:
            exporter.wait(
                lambda: {"db:app", "db:orphanedRows", "db:orderLookup"} <= exporter.health()["checks"].keys(), "checks"
            )
            [app] = exporter.health()["checks"]["db:app"]
            count = exporter.value("datatier_query_seconds_count", query="order_canary")

    assert (app["status"], app["output"]) == ("fail", "app:new_orders")
    assert (count or 0) >= 1
