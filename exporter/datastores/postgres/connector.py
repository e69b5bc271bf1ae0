"""Connect to one PostgreSQL server: logins, TLS, and keepalives that notice a server that has vanished."""

import socket
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode

import asyncpg
import asyncpg.protocol.protocol
import structlog

from exporter.config.stores.postgres import PostgresTarget
from exporter.datastores.keepalive import keepalive
from exporter.datastores.pgwire.encoding import CODEC, UNCONVERTED
from exporter.datastores.pgwire.errors import unknown_database
from exporter.datastores.pgwire.login import terms_of
from exporter.datastores.pgwire.tls import lent_parameters
from exporter.datastores.postgres.left_behind import LeftBehind
from exporter.datastores.postgres.network import Network
from exporter.datastores.postgres.refusals import Refusals, refusal_of
from exporter.datastores.postgres.session_settings import NAME, at_login
from exporter.datastores.tls import certificate_of, tls_of
from exporter.errors import NoSessionError, QueryError

CONNECT_SECONDS = 10.0
REFUSED = "this database does not let us in; the findings of `databases` say why"

_log = structlog.get_logger("exporter")

asyncpg.protocol.protocol.ENCODINGS_MAP["sql_ascii"] = CODEC  # asyncpg's is ASCII, which fails at each other byte


class Connector:
    """Open the connections of one target, and hold what all of them have to know.

    unknown_to_pooler: databases that a PgBouncer on the way does not know, or with which it leads to another server.
    refusals: databases that refused the last login.
    left_behind: sessions that may go on after their connection was dropped.
    unconverted: databases whose text the server or the driver could not convert; None is the URL's.
    watched: the start time of the server that the last ping reached, in microseconds, which identifies it; None before
        the first ping, and after a login that reached another server.
    moves: how often the watched server changed or another one was reached; older connections are not used any more.
    certificate: the server's at the last login, in DER; None without TLS.
    """

    def __init__(self, target: PostgresTarget) -> None:
        self.target = target
        self.unknown_to_pooler: set[str] = set()
        self.refusals = Refusals()
        self.left_behind = LeftBehind(target.name)
        self.unconverted: set[str | None] = set()
        self.watched: float | None = None
        self.moves = 0
        self.certificate: bytes | None = None
        self._tls = tls_of(target)

    async def connect(self, database: str | None, seconds: float, *, cached: bool = True) -> Any:
        """Log in with the present secret; None is the URL's database. Cached: statements stay prepared."""
        pooled = self.target.via_pgbouncer
        server_settings = {
            **NAME,
            **self.target.conninfo.proxy_options,
            **({} if pooled else at_login(seconds)),
            **(UNCONVERTED if database in self.unconverted else {}),
        }
        network = Network(self.target.conninfo, terms_of(self.target, database or self.target.conninfo.database))
        try:
            with lent_parameters(self.target.conninfo) as tls_parameters:
                connection = await asyncpg.connect(
                    **self._place(database, tls_parameters),
                    loop=network,
                    password="",  # the login is made by the network
                    server_settings=server_settings,
                    statement_cache_size=100 if cached and not pooled else 0,
                    max_cached_statement_lifetime=0,  # for ever: the statements are always the same
                    max_cacheable_statement_size=0,
                )
        except UnicodeDecodeError:  # the server writes in its own encoding until it knows ours
            raise QueryError("connect", "the login failed, in words that are not UTF-8: see lc_messages") from None
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            if network.fault is not None:
                raise network.fault from None
            raise
        self._look_at(connection._transport)  # noqa: SLF001 - asyncpg has no other way to its socket
        return connection

    def _place(self, database: str | None, tls_parameters: Mapping[str, str]) -> Mapping[str, Any]:
        """Return asyncpg's arguments for the server's place, TLS and the deadline."""
        info = self.target.conninfo
        return {
            "dsn": None if self._tls else f"postgresql:///?{urlencode(tls_parameters)}",  # it takes them in a URL alone
            "host": [host.name for host in info.hosts],
            "port": [host.port for host in info.hosts],
            "user": info.user,
            "database": database or info.database,
            "ssl": False if info.local else self._tls,  # None: as libpq's parameters say
            "direct_tls": info.get("sslnegotiation") == "direct" or None,
            "target_session_attrs": info.get("target_session_attrs", "any"),
            "timeout": info.connect_seconds(CONNECT_SECONDS),
        }

    def watch(self, started_at: float) -> None:
        """Watch the server that a ping reached."""
        if self.watched != started_at:
            self.watched = started_at
            self.moves += 1

    def lose(self) -> None:
        """Watch no server until the next ping: the URL leads to several."""
        self.watched = None
        self.moves += 1

    def check_server(self) -> str:
        """Return a statement that divides by zero on any other server than the one that is watched."""
        if self.watched is None:
            raise QueryError("connect", "the URL leads to another server than before; the next ping tells which one")
        started = "extract(epoch FROM pg_catalog.pg_postmaster_start_time())::float8"
        return f"SELECT 1 / ({started} = {self.watched!r})::int"

    def leads_elsewhere(self, database: str | None) -> NoSessionError:
        """Return the error for another server's response; a PgBouncer may lead to one with a single database."""
        if self.target.via_pgbouncer and database:
            self.unknown_to_pooler.add(database)
            return NoSessionError("unsupported", "PgBouncer leads to another server with this database", database)
        self.lose()
        return NoSessionError(
            "connect", "another server answered than at the last ping; the next ping tells which is watched"
        )

    def refusal(self, error: BaseException, database: str | None) -> NoSessionError | None:
        """Return the error of all queries in a database that alone refuses the login; None where others do, too."""
        if database is None:
            return None
        pooled = self.target.via_pgbouncer
        if pooled and (isinstance(error, asyncpg.InvalidCatalogNameError) or unknown_database(str(error))):
            self.unknown_to_pooler.add(database)
            return NoSessionError("unsupported", "PgBouncer does not know this database", database)
        why = refusal_of(error, via_pgbouncer=pooled)
        if why is None:
            return None
        self.refusals.note(database, why)
        _log.debug("a database refuses the login", target=self.target.name, database=database, error=str(error))
        return NoSessionError("unsupported", REFUSED, database)

    def retain(self, databases: Collection[str]) -> None:
        """Forget all databases but these, which exist and are wanted."""
        self.refusals.retain(databases)
        self.unknown_to_pooler.intersection_update(databases)
        self.unconverted.intersection_update((None, *databases))

    def _look_at(self, transport: Any) -> None:
        self.certificate = certificate_of(transport)
        connected = transport.get_extra_info("socket")
        if connected.family != socket.AF_UNIX:
            for option in keepalive(self.target.conninfo):
                connected.setsockopt(*option)
