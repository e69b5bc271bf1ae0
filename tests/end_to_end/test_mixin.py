"""Dashboards and rules made for postgres_exporter go on to work: what its mixin asks for returns data on our pages.

Written down here is what each panel and alert of the mixin compares, without its limits, as far as postgres_exporter
0.20 still serves the metrics: https://github.com/prometheus-community/postgres_exporter/tree/master/postgres_mixin
"""

from collections.abc import Iterator

import pytest

from testkit.prometheus import Prometheus, discovered
from testkit.session import Servers
from tests.support.exporter_process import Exporter

WAIT_SECONDS = 60
COMMITS, ROLLBACKS = "rate(pg_stat_database_xact_commit[30s])", "rate(pg_stat_database_xact_rollback[30s])"
HITS, READS = "rate(pg_stat_database_blks_hit[30s])", "rate(pg_stat_database_blks_read[30s])"
DEAD, ALIVE = "pg_stat_user_tables_n_dead_tup", "pg_stat_user_tables_n_live_tup"
TIMED, REQUESTED = (
    "rate(pg_stat_bgwriter_checkpoints_timed_total[30s])",
    "rate(pg_stat_bgwriter_checkpoints_req_total[30s])",
)
SERVER = "on (namespace, job, service, instance, server) group_left ()"
ASKED = {
    "connections left": """
        sum by (instance) (pg_settings_max_connections)
        - sum by (instance) (pg_settings_superuser_reserved_connections)
        - sum by (instance) (pg_stat_activity_count)
    """,
    "down": "pg_up",
    "slow transactions": "avg by (datname) (rate(pg_stat_activity_max_tx_duration[30s]))",
    "transactions": f"avg by (datname) ({COMMITS} + {ROLLBACKS})",
    "cache hit ratio": f"avg by (datname) ({HITS} / ({HITS} + {READS}))",
    "rollbacks": f"avg without (pod, instance) ({ROLLBACKS} / ({COMMITS} + {ROLLBACKS}))",
    "deadlocks": "max without (pod, instance) (rate(pg_stat_database_deadlocks[30s]))",
    "locks": """
        max by (server, job, datname, namespace) (
          pg_locks_count / on (instance, namespace) group_left (server)
          (pg_settings_max_locks_per_transaction * pg_settings_max_connections)
        )
    """,
    "unused slots": "pg_replication_slots_active == bool 0",
    "role": "pg_replication_is_replica and changes(pg_replication_is_replica[30s]) >= 0",
    "dead rows": f"""
        sum without (relname) ({DEAD}) / (sum without (relname) ({ALIVE}) + sum without (relname) ({DEAD}))
        unless on (instance) (pg_replication_is_replica == 1)
    """,
    "tables to vacuum": f"""
        {DEAD} > bool {ALIVE} * {SERVER} pg_settings_autovacuum_vacuum_scale_factor
        + {SERVER} pg_settings_autovacuum_vacuum_threshold
    """,
    "checkpoints requested": f"{TIMED} / ({TIMED} + {REQUESTED})",
    "sessions": "pg_stat_database_numbackends",
    "conflicts": "sum(rate(pg_stat_database_conflicts[30s]))",
    **{
        f"rows {kind}": f"sum(irate(pg_stat_database_tup_{kind}[30s]))"
        for kind in ("fetched", "returned", "inserted", "updated", "deleted")
    },
    **{
        f"buffers {kind}": f"irate(pg_stat_bgwriter_buffers_{kind}_total[30s])"
        for kind in ("alloc", "backend_fsync", "backend", "clean", "checkpoint")
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def scraping(servers: Servers) -> Iterator[tuple[Exporter, Prometheus]]:
    """Scrape a primary and its replica as query-files.md advises for such rules: an `instance` for each target."""
    primary, replica = servers.postgres("16"), servers.replica("16")
    primary.psql("SELECT pg_create_physical_replication_slot('mixin', true)")
    by_target = {"source_labels": ["target"], "target_label": "instance"}
    try:
        with Exporter([primary.target("primary"), replica.target("replica")]) as exporter:
            exporter.wait_up("primary", "replica")
            job = discovered(exporter.port, relabel_configs=[by_target])
            with servers.private_prometheus(job, seconds=5) as prometheus:
                yield exporter, prometheus
    finally:
        primary.psql("SELECT pg_drop_replication_slot('mixin')")


@pytest.mark.servers("postgres:16", "replica:16")
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_queries_of_the_mixin_have_results(scraping: tuple[Exporter, Prometheus], asked: str) -> None:
    """Its matchers and joins find what they look for; Prometheus would refuse a join that is ambiguous."""
    exporter, prometheus = scraping

    exporter.wait(lambda: bool(prometheus.ask(asked)), asked, WAIT_SECONDS)
