"""One held connection to a PostgreSQL server."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg
import structlog

from exporter.datastores.pgbouncer.words import unknown_database
from exporter.datastores.postgres.fence import fenced_rows
from exporter.datastores.postgres.pooled import transaction
from exporter.query import QueryError, Row
from exporter.targets import PostgresTarget

PATIENCE_SECONDS = 2.0  # what the client waits longer than the server, which ends slow statements by itself
CLOSE_SECONDS = 1.0
CONNECT_SECONDS = 10.0

_NAME: Mapping[str, str] = {"application_name": "datatier-exporter"}
_SETTINGS: Mapping[str, str] = {
    # Below deadlock_timeout: a wait for a lock ends before the server looks for deadlocks or logs the wait.
    "lock_timeout": "250ms",
    "idle_in_transaction_session_timeout": "10s",
    "default_transaction_read_only": "on",
    "jit": "off",
    "TimeZone": "UTC",
}
_EXTENSIONS = """
SELECT extname, extversion, quote_ident(nspname), has_schema_privilege(pg_namespace.oid, 'USAGE')
FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
"""
# libpq keeps these to itself; asyncpg would send them to the server, which would refuse the login.
_LIBPQ_ONLY = {
    "channel_binding", "connect_timeout", "fallback_application_name", "gssencmode", "keepalives", "keepalives_count",
    "keepalives_idle", "keepalives_interval", "load_balance_hosts", "require_auth", "sslcompression",
    "tcp_user_timeout",
}  # fmt: skip

_log = structlog.get_logger("exporter")


class Extension(NamedTuple):
    """An installed extension; its functions are called by their schema, wherever the search path leads."""

    version: str
    schema: str  # quoted where it must be
    usable: bool  # the role may use that schema


class Link:
    """The connection of one lane, to one database at a time, opened when it is needed.

    A bare connection, because asyncpg's pool does not come back from a frozen server. The server ends a statement
    before the caller's deadline, so a slow one costs nothing but itself; where the deadline fires all the same,
    nobody answers there, and the connection is dropped without asking.
    """

    def __init__(self, target: PostgresTarget, strangers: set[str] | None = None) -> None:
        self._target = target
        self.strangers = set() if strangers is None else strangers  # databases that a PgBouncer on the way refused
        self._connection: Any = None
        self._home = unquote(urlsplit(target.url.get_secret_value()).path[1:]) or None  # the same as no database
        self._database: str | None = None
        self._statement_timeout = ""
        self._extensions: Mapping[str, Extension] | None = None
        self._decodes_json = False
        self.opened = 0  # how often; a change tells that what was known about the server may be old

    async def rows(
        self, sql: str, *arguments: object, seconds: float = 5.0, database: str | None = None
    ) -> Sequence[Row]:
        """Run one statement in a database, by default in the one of the URL."""
        async with self._connected(database, seconds) as connection:
            rows: Sequence[Row] = await connection.fetch(sql, *arguments, timeout=seconds + PATIENCE_SECONDS)
        return rows

    async def fenced_rows(
        self, sql: str, most_rows: int, *, seconds: float = 5.0, database: str | None = None
    ) -> Sequence[Row]:
        """Run a statement that a user wrote; see the fence."""
        async with self._connected(database, seconds) as connection:
            return await fenced_rows(connection, sql, most_rows, visiting=database is not None)

    async def extensions(self, database: str | None = None, *, fresh: bool = False) -> Mapping[str, Extension]:
        """Return a database's extensions by name, read once a connection."""
        async with self._connected(database) as connection:
            if fresh or self._extensions is None:
                rows = await connection.fetch(_EXTENSIONS)
                self._extensions = {row[0]: Extension(*row[1:]) for row in rows}
        return self._extensions

    async def decode_json(self, database: str | None = None) -> None:
        """Let json and jsonb arrive as objects; only where needed, for it costs look-ups in each new connection."""
        async with self._connected(database) as connection:
            if not self._decodes_json:
                for name in ("json", "jsonb"):
                    await connection.set_type_codec(name, schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
                self._decodes_json = True

    async def close(self) -> None:
        """Say goodbye to a server that listens, and leave one that does not."""
        if self._connection is not None:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                await self._connection.close(timeout=CLOSE_SECONDS)
            self.terminate()

    def terminate(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    @asynccontextmanager
    async def _connected(self, database: str | None, seconds: float = 5.0) -> AsyncIterator[Any]:
        database = None if database == self._home else database
        try:
            if self._connection is None or self._connection.is_closed() or database != self._database:
                await self.close()
                await self._open(database, seconds)
            if self._target.via_pgbouncer:
                async with transaction(self._connection, _settings(seconds)):
                    yield self._connection
            else:
                await self._limit(seconds)
                yield self._connection
        except (asyncio.CancelledError, OSError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            self.terminate()
            raise

    async def _open(self, database: str | None, seconds: float) -> None:
        self._statement_timeout = _statement_timeout(seconds)
        try:
            self._connection = await _connect(self._target, database, seconds)
        except asyncpg.PostgresError as error:
            unknown = isinstance(error, asyncpg.InvalidCatalogNameError) or unknown_database(str(error))
            if not (unknown and self._target.via_pgbouncer and database):
                raise
            self.strangers.add(database)
            raise QueryError("unsupported", "PgBouncer does not know this database") from None
        if getattr(self._connection.get_settings(), "is_superuser", "off") == "on":
            _warn_of_superuser(self._target.name)
        self._database = database
        self._extensions = None
        self._decodes_json = False
        self.opened += 1

    async def _limit(self, seconds: float) -> None:
        wanted = _statement_timeout(seconds)
        if wanted != self._statement_timeout:
            await self._connection.fetch("SELECT set_config('statement_timeout', $1, false)", wanted)
            self._statement_timeout = wanted


@cache
def _warn_of_superuser(target: str) -> None:
    """Say it once: no fence holds a superuser, whose functions read files and end other people's sessions."""
    _log.warning("logs in as a superuser; a role with pg_monitor is enough", target=target)


def _statement_timeout(seconds: float) -> str:
    """Return what lets the server end a statement a little before the caller's deadline does."""
    return f"{seconds * 900:.0f}ms"


def _settings(seconds: float) -> Mapping[str, str]:
    return {**_SETTINGS, "statement_timeout": _statement_timeout(seconds)}


async def _connect(target: PostgresTarget, database: str | None, seconds: float) -> Any:
    try:
        password = target.secret("password")
    except ValueError as error:  # its file can be read no more
        raise QueryError("auth", str(error)) from None
    try:
        return await asyncpg.connect(
            _without_libpq_parameters(target.url.get_secret_value()),
            password=password,
            database=database,
            server_settings={**_NAME, **({} if target.via_pgbouncer else _settings(seconds))},
            statement_cache_size=0 if target.via_pgbouncer else 100,
            max_cached_statement_lifetime=0,  # for ever: the statements are always the same
            max_cacheable_statement_size=0,
            timeout=CONNECT_SECONDS,
        )
    except asyncpg.ClientConfigurationError:
        raise
    except ValueError:  # from a URL that does not parse; its message may quote a part of the password
        message = "the URL cannot be read; percent-encode special characters in user and password"
        raise asyncpg.ClientConfigurationError(message) from None


def _without_libpq_parameters(url: str) -> str:
    parts = urlsplit(url)
    kept = [pair for pair in parts.query.split("&") if pair.partition("=")[0] not in _LIBPQ_ONLY]
    return urlunsplit(parts._replace(query="&".join(kept)))
