"""The two exporters on one PostgreSQL with 500 tables, and the four stores."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from bench.client import Client, page
from testkit import Server, debian
from testkit.machine import hand_over
from testkit.minio import Minio
from testkit.neo4j import Neo4j
from testkit.postgres import PASSWORDS, Postgres
from testkit.process import Process, free_port
from testkit.qdrant import Qdrant
from tests.support.exporter_process import Exporter

HERE = Path(__file__).parent
QUERIES_YAML = HERE / "postgres_exporter.yaml"
VERSION = "15"  # postgres_exporter 0.11.1 is of 2022
INTERVAL = 15.0
TABLES = 500
_SETTINGS = {"shared_buffers": "256MB", "log_line_prefix": "%u %t ", "log_connections": "on"}
_SETUP = f"""
ALTER ROLE monitor CONNECTION LIMIT 20;
CREATE ROLE peer LOGIN PASSWORD '{PASSWORDS["monitor"]}' IN ROLE pg_monitor;
"""
_FILL = f"""
DO $$ BEGIN
    FOR number IN 1..{TABLES} LOOP
        EXECUTE format('CREATE TABLE table_%s (id bigserial PRIMARY KEY, a int, b text, c timestamptz)', number);
        EXECUTE format('INSERT INTO table_%s (a, b, c) SELECT i, ''text'' || i, now() FROM generate_series(1, 200) i',
            number);
        EXECUTE format('CREATE INDEX ON table_%s (a)', number);
    END LOOP;
END $$;
ANALYZE;
"""


@cache
def database() -> Postgres:
    """Start the PostgreSQL that all benchmarks of a run share; it ends with the run."""
    server = Postgres(VERSION, _SETTINGS).start()
    server.psql(_SETUP)
    server.psql(_FILL, "app")
    return server


@cache
def stores() -> dict[str, Server]:
    """Start one small server of each store; they end with the run."""
    return {
        "postgres": Postgres("18").start(),
        "qdrant": Qdrant().start(),
        "neo4j": Neo4j("5.26").start(),
        "minio": Minio().start(),
    }


FOUR = ("postgres", "qdrant", "neo4j", "minio")


def targets(*names: str) -> list[dict[str, Any]]:
    return [stores()[name].target(name) for name in names]


def ours() -> Exporter:
    """Return our exporter on all 500 tables: the built-in queries, those of the tables replaced by the bench's."""
    server = database()
    target = server.target("bench", url=server.url.replace("/postgres", "/app"))
    return Exporter([target], interval=f"{INTERVAL:g}s", queries=[str(HERE / "queries")])


class PostgresExporter(Process):
    """Debian's postgres_exporter, logged in as one of a server's roles, with a queries.yaml or without."""

    def __init__(self, dsn: str, queries: Path | None = None, *flags: str) -> None:
        super().__init__("postgres-exporter")
        self.port = free_port()
        self._dsn = dsn
        self._queries = queries
        self._flags = flags

    def _prepare(self) -> None:
        if self._queries is not None:
            shutil.copy(self._queries, self.folder / "queries.yaml")
        hand_over(self.folder)

    def _command(self) -> list[str]:
        program = debian.program("prometheus-postgres-exporter")
        own = [f"--extend.query-path={self.folder / 'queries.yaml'}"] if self._queries is not None else []
        return [str(program), f"--web.listen-address=127.0.0.1:{self.port}", *own, *self._flags]

    def _environment(self) -> dict[str, str]:
        return {"DATA_SOURCE_NAME": self._dsn}

    def _ready(self) -> bool:
        with Client(self.port, timeout=1) as client:
            return bool(client.get("/"))


@contextmanager
def both() -> Iterator[tuple[Exporter, PostgresExporter]]:
    """Run both on the same tables, ours until it has read all of them."""
    database()
    with ExitStack() as stack:
        exporter = stack.enter_context(ours())
        dsn = f"postgresql://peer:{PASSWORDS['monitor']}@127.0.0.1:{database().port}/app?sslmode=disable"
        peer = stack.enter_context(PostgresExporter(dsn, QUERIES_YAML))
        wait_polled(exporter)
        yield exporter, peer


def wait_polled(exporter: Exporter) -> None:
    """Wait until every table is on the page, by both queries."""
    names = ("pg_stat_user_tables_autoanalyze_count", "pg_statio_user_tables_tidx_blocks_hit")
    exporter.wait(lambda: all(page(exporter.port).count(f"\n{name}{{") >= TABLES for name in names), "a whole poll")
