"""Settings and login triggers that sessions meet, and what each host of a URL is for."""

from collections.abc import Iterator

import asyncpg
import pytest

from exporter.errors import QueryError
from testkit.postgres import PASSWORDS, Postgres
from testkit.session import Servers
from tests.support.collect import collect_from
from tests.support.postgres_polls import fetch, opened, sql

BENT = {
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "standard_conforming_strings": "off",
    "idle_session_timeout": "600ms",
}
# As PostgreSQL's manual has it, and one that leaves settings behind.
TRIGGERS = """
CREATE TABLE login_log (who text, at timestamptz);
CREATE FUNCTION log_login() RETURNS event_trigger SECURITY DEFINER LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_is_in_recovery() THEN
        INSERT INTO login_log VALUES (session_user, current_timestamp);
    END IF;
END $$;
CREATE EVENT TRIGGER log_login ON login EXECUTE FUNCTION log_login();
CREATE FUNCTION set_up() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('search_path', 'public, pg_catalog', false), set_config('TimeZone', 'Asia/Tokyo', false),
        set_config('application_name', 'shop', false), set_config('statement_timeout', '11s', false);
END $$;
CREATE EVENT TRIGGER set_up ON login EXECUTE FUNCTION set_up();
ALTER EVENT TRIGGER log_login ENABLE ALWAYS;
"""
UNDO = """
DROP EVENT TRIGGER set_up;
DROP EVENT TRIGGER log_login;
DROP FUNCTION set_up, log_login;
DROP TABLE login_log;
"""
SETTINGS = """
SELECT ARRAY(
    SELECT setting FROM pg_settings WHERE name IN (
        'search_path', 'TimeZone', 'application_name', 'statement_timeout', 'default_transaction_read_only'
    ) ORDER BY lower(name)
) AS value
"""


@pytest.fixture(scope="module")
def primary(servers: Servers) -> Iterator[Postgres]:
    with servers.private_postgres("18") as primary:
        for name, value in BENT.items():
            primary.psql(f"ALTER ROLE monitor SET {name} = '{value}'; ALTER DATABASE app SET {name} = '{value}'")
        yield primary


@pytest.fixture(scope="module")
def replica(primary: Postgres) -> Iterator[Postgres]:
    with primary.replica() as replica:
        yield replica


async def test_a_role_s_settings_do_no_harm(primary: Postgres, replica: Postgres) -> None:
    """Of a serializable transaction a hot standby refuses each statement."""
    pid = sql("SELECT pg_backend_pid() AS value")
    for server in (primary, replica):
        async with opened(server.target("db")) as datastore:
            collected = await collect_from(datastore, "postgres")
            await datastore.ping()
            before = await _on_the_fast_lane(datastore, pid)
            users = await fetch(datastore, sql("SELECT 1 AS value", untrusted=True), "app")
            time = await fetch(datastore, sql("SELECT 1 AS value FROM pg_sleep(1)"))  # another session waits meanwhile

            assert collected.failures == {}
            assert users == time == [{"value": 1}]
            assert await _on_the_fast_lane(datastore, pid) == before
    assert "sync_standbys" in collected.series


async def _on_the_fast_lane(datastore: object, query: object) -> object:
    async with datastore.session("fast") as session:  # type: ignore[attr-defined]
        return [dict(row) for row in await session.fetch(query)]


@pytest.mark.parametrize("pooled", [False, True])
async def test_a_login_trigger_may_write_and_set(servers: Servers, primary: Postgres, pooled: bool) -> None:  # noqa: FBT001
    primary.psql(TRIGGERS)
    try:
        with servers.private_pgbouncer(primary) as bouncer:
            async with opened(bouncer.server_target("db") if pooled else primary.target("db")) as datastore:
                await datastore.ping()
                [settings] = await fetch(datastore, sql(SETTINGS))
                collected = await collect_from(datastore, "postgres", ["static", "login", "oldest_xmin"])
        logged = primary.psql("SELECT DISTINCT who FROM login_log WHERE who = 'monitor'")
    finally:
        primary.psql(UNDO)

    assert settings["value"] == ["datatier-exporter", "on", "pg_catalog, pg_temp", "4500", "UTC"]
    assert collected.failures == {}
    assert collected.value("pg_login_success") == 1
    assert logged == [("monitor",)]


ATTRIBUTES = {
    "any": ("first", "first"), "read-write": ("primary", "primary"), "primary": ("primary", "primary"),
    "read-only": ("replica", "replica"), "standby": ("replica", "replica"), "prefer-standby": ("replica", "replica"),
}  # fmt: skip


async def test_of_several_hosts_one_is_chosen_by_what_it_is(primary: Postgres, replica: Postgres) -> None:
    for attribute, expected in ATTRIBUTES.items():
        for order, role in zip(((primary, replica), (replica, primary)), expected, strict=True):
            found = await _role(",".join(f"127.0.0.1:{server.port}" for server in order), attribute)
            first = "primary" if order[0] is primary else "replica"
            assert found == (first if role == "first" else role), (attribute, first)


@pytest.mark.parametrize("attribute", ["read-only", "standby"])
async def test_a_primary_is_no_standby(servers: Servers, primary: Postgres, attribute: str) -> None:
    with servers.private_pgbouncer(primary) as bouncer:
        for port, pooled in ((primary.port, False), (bouncer.port, True)):
            with pytest.raises((asyncpg.TargetServerAttributeNotMatched, QueryError)):
                await _role(f"127.0.0.1:{port}", attribute, via_pgbouncer=pooled)
        for wanted in ("read-write", "primary", "prefer-standby"):
            assert await _role(f"127.0.0.1:{bouncer.port}", wanted, via_pgbouncer=True) == "primary"


async def _role(hosts: str, attribute: str, **options: bool) -> str:
    url = f"postgresql://monitor@{hosts}/postgres?target_session_attrs={attribute}"
    password = PASSWORDS["monitor"]
    async with opened({"name": "db", "store": "postgres", "url": url, "password": password, **options}) as datastore:
        return (await datastore.ping()).role
