"""What the PostgreSQL client decides without a server."""

from pathlib import Path

import asyncpg
import pytest

from exporter.config.stores.postgres import PostgresTarget
from exporter.config.targets import Globs
from exporter.datastores.pgwire.tls import context_of
from exporter.datastores.postgres.connector import Connector
from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.datastores.postgres.errors import reason_of
from exporter.datastores.postgres.facts import Facts, open_databases, server_info
from exporter.errors import QueryError, Reason
from tests.support.collect import target_of

NO_FACTS = Facts(capabilities={}, missing_privileges={}, extensions={}, closed=frozenset())
PING = {
    "version": "15.19 (Debian 15.19-1)",
    "is_replica": True,
    "started_at": 12.5,
    "databases": ["app", "shop"],
    "octets": ["3", "4"],
    "tracked": ["track_counts=on", "track_activities=off", "pg_stat_statements.track_planning=off"],
}


def target(url: str) -> PostgresTarget:
    made = target_of({"name": "db", "store": "postgres", "url": url})
    assert isinstance(made, PostgresTarget)
    return made


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (asyncpg.InvalidPasswordError(""), "auth"),
        (asyncpg.InvalidAuthorizationSpecificationError(""), "auth"),
        (asyncpg.InsufficientPrivilegeError(""), "privilege"),
        (asyncpg.QueryCanceledError(""), "timeout"),
        (asyncpg.LockNotAvailableError(""), "timeout"),
        (asyncpg.TooManyConnectionsError(""), "limit"),
        (asyncpg.CannotConnectNowError(""), "connect"),
        (asyncpg.AdminShutdownError(""), "connect"),
        (asyncpg.InvalidCatalogNameError(""), "connect"),
        (asyncpg.ConnectionDoesNotExistError(""), "connect"),
        (asyncpg.InterfaceError(""), "connect"),
        (asyncpg.FeatureNotSupportedError(""), "unsupported"),
        (asyncpg.ObjectNotInPrerequisiteStateError(""), "unsupported"),
        (asyncpg.UndefinedTableError(""), "query"),
        (asyncpg.ReadOnlySQLTransactionError(""), "query"),
        (ConnectionRefusedError(), "connect"),
        (TimeoutError(), "timeout"),
        (QueryError("limit", ""), "limit"),
        (LookupError(), "decode"),
    ],
)
def test_errors_have_typed_reasons(error: BaseException, reason: Reason) -> None:
    if isinstance(error, asyncpg.PostgresError):
        error.sqlstate = type(error).sqlstate

    assert reason_of(error) == reason


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        (Globs(), ["app", "app_old", "postgres"]),
        (Globs(include=("app*",)), ["app", "app_old"]),
        (Globs(include=("app*", "postgres"), exclude=("*_old",)), ["app", "postgres"]),
        (Globs(include=("APP",)), []),
    ],
)
def test_databases_are_chosen_by_globs(globs: Globs, expected: list[str]) -> None:
    assert list(filter(globs.matches, ["app", "app_old", "postgres"])) == expected


def test_databases_closed_to_us_are_not_visited() -> None:
    facts = Facts(capabilities={}, missing_privileges={}, extensions={}, closed=frozenset({"shop"}))

    assert open_databases(PING, facts, Globs()) == ("app",)


def test_packagers_additions_are_no_part_of_the_version() -> None:
    info = server_info(PING, NO_FACTS)

    assert (info.version, info.role, info.started_at) == ("15.19", "replica", 12.5)


def test_missing_measurement_is_a_missing_capability() -> None:
    assert server_info(PING, NO_FACTS).capabilities == {
        "track_counts": "",
        "track_activities": "track_activities is off",
        "track_planning": "pg_stat_statements.track_planning is off",
    }


async def test_a_session_before_the_first_ping_says_so() -> None:
    async with PostgresDatastore(target("postgresql://localhost")) as datastore:
        with pytest.raises(QueryError, match="not reached"):
            async with datastore.session("fast"):
                pass


@pytest.mark.parametrize("word", ["sslrootcert", "sslcert", "sslkey", "sslcrl"])
async def test_files_of_certificates_are_bounded_at_each_login(word: str, tmp_path: Path) -> None:
    """One that has become endless since the start costs a login, for OpenSSL would read it on the event loop."""
    file = tmp_path / "file.pem"
    file.touch()
    others = f"&sslcert={file}" if word == "sslkey" else ""
    given = target(f"postgresql://monitor@127.0.0.1:1/postgres?sslmode=require&{word}={file}{others}")
    assert given.conninfo.get(word) == str(file)
    with file.open("wb") as grown:
        grown.truncate(2**20 + 1)

    with pytest.raises(OSError, match="larger than 1 MiB"):
        context_of(given.conninfo)
    with pytest.raises(OSError, match="larger than 1 MiB"):
        await Connector(given).connect(None, 5.0)


def test_dropped_databases_are_forgotten() -> None:
    """A role that may create databases could otherwise fill the memory with their names."""
    connector = Connector(target("postgresql://monitor@db1/postgres"))
    connector.unknown_to_pooler |= {"app", "gone"}
    connector.unconverted |= {None, "app", "gone"}
    for name in ("app", "gone"):
        connector.refusals.note(name, "it was dropped")

    connector.retain(["app"])

    assert (connector.unknown_to_pooler, connector.unconverted) == ({"app"}, {None, "app"})
    assert (connector.refusals.why("app"), connector.refusals.why("gone")) == ("it was dropped", None)
