"""PostgreSQL servers of the sizes that costs are measured at, with a role for each who watches."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from testkit.postgres import PASSWORDS, Postgres

VERSION = "15"  # postgres_exporter 0.11.1 is of 2022
STATEMENTS = 4_900  # of the 5,000 that pg_stat_statements holds by default
_SETTINGS = {
    "shared_buffers": "256MB",
    "max_connections": "200",  # postgres_exporter holds one for each database
    "max_locks_per_transaction": "512",
    "log_line_prefix": "%u %t ",
    "log_connections": "on",
    "autovacuum": "off",  # its work would be counted, and differ from run to run
    "pg_stat_statements.max": "10000",  # nothing is evicted while we count
    "pg_stat_statements.track_planning": "on",
}
_ROLE = f"CREATE ROLE {{}} LOGIN PASSWORD '{PASSWORDS['monitor']}' CONNECTION LIMIT 50 IN ROLE pg_monitor"
_TABLES = r"""
SELECT format('CREATE TABLE table_%s (id bigserial PRIMARY KEY, a int, b text, c timestamptz)', n),
    format('INSERT INTO table_%s (a, b, c) SELECT i, ''text'' || i, now() FROM generate_series(1, 20) i', n),
    format('CREATE INDEX ON table_%s (a)', n),
    format('CREATE INDEX ON table_%s (c)', n)
FROM generate_series(1, {tables}) AS n
\gexec
ANALYZE;
"""
_DISTINCT = r"""
SELECT format('SELECT %s FROM table_%s WHERE id = 1', repeat('a + ', n / {tables}) || 'a', 1 + n % {tables})
FROM generate_series(1, {statements}) AS n
\gexec
"""


class Size(NamedTuple):
    """So many databases with so many tables each; a table has three indexes."""

    name: str
    tables: int
    databases: int = 1


SIZES = (Size("500 tables", 500), Size("4,000 tables", 4_000), Size("20 databases", 50, 20))


@contextmanager
def server(size: Size, *roles: str) -> Iterator[Postgres]:
    """Start a server of a size, with full statement statistics and roles of pg_monitor."""
    with Postgres(VERSION, _SETTINGS) as postgres:
        postgres.psql(";\n".join(_ROLE.format(role) for role in roles))
        names = ["app", *(f"app_{number}" for number in range(2, size.databases + 1))]
        postgres.psql("\n".join(f"CREATE DATABASE {name};" for name in names[1:]))
        for name in names:
            postgres.psql(_TABLES.format(tables=size.tables), name)
        postgres.psql("SELECT pg_stat_statements_reset()")
        postgres.psql(_DISTINCT.format(tables=size.tables, statements=STATEMENTS), "app")
        yield postgres


def dsn(postgres: Postgres, role: str, database: str = "postgres") -> str:
    """Return a role's connection string; pg_stat_statements is in the database postgres, the tables are in app."""
    return f"postgresql://{role}:{PASSWORDS['monitor']}@127.0.0.1:{postgres.port}/{database}?sslmode=disable"
