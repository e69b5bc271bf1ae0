"""The way into one PostgreSQL server: logins, TLS, and sockets that notice when nobody is there any more."""

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import asyncpg.protocol.protocol

from exporter.datastores.keepalive import IDLE_SECONDS, INTERVAL_SECONDS, PROBES, SOCKET_OPTIONS
from exporter.datastores.postgres.encoding import CODEC, UNCONVERTED
from exporter.datastores.tls import tls_of
from exporter.query import QueryError
from exporter.targets import PostgresTarget

CONNECT_SECONDS = 10.0

_NAME: Mapping[str, str] = {"application_name": "datatier-exporter"}
_SETTINGS: Mapping[str, str] = {
    # Below deadlock_timeout: a wait for a lock ends before the server looks for deadlocks or logs the wait.
    "lock_timeout": "250ms",
    "idle_in_transaction_session_timeout": "10s",
    "default_transaction_read_only": "on",
    "jit": "off",
    "TimeZone": "UTC",
    # Or a server that we vanished from would keep our connections, against the role's limit, for two hours.
    "tcp_keepalives_idle": f"{IDLE_SECONDS}s",
    "tcp_keepalives_interval": f"{INTERVAL_SECONDS}s",
    "tcp_keepalives_count": str(PROBES),
}
# libpq keeps these to itself; asyncpg would send them to the server, which would refuse the login.
_LIBPQ_ONLY = {
    "channel_binding", "connect_timeout", "fallback_application_name", "gssencmode", "keepalives", "keepalives_count",
    "keepalives_idle", "keepalives_interval", "load_balance_hosts", "require_auth", "sslcompression",
    "tcp_user_timeout",
}  # fmt: skip

asyncpg.protocol.protocol.ENCODINGS_MAP["sql_ascii"] = CODEC  # asyncpg's is ASCII, which fails at each other byte


class Door:
    """Lets all links of one target in.

    strangers: databases that a PgBouncer on the way does not know.
    unconverted: databases whose text the server or the driver could not convert; None is the URL's.
    certificate: what the server showed at the last login, in DER; None without TLS.
    """

    def __init__(self, target: PostgresTarget) -> None:
        self.target = target
        self.strangers: set[str] = set()
        self.unconverted: set[str | None] = set()
        self.certificate: bytes | None = None
        self._tls = tls_of(target)

    async def connect(self, database: str | None, seconds: float) -> Any:
        """Log in with the secret as it is now; None is the URL's database."""
        pooled = self.target.via_pgbouncer
        try:
            connection = await asyncpg.connect(
                _without_libpq_parameters(self.target.url.get_secret_value()),
                password=self._password(),
                database=database,
                ssl=self._tls,  # None: as the URL says
                server_settings={
                    **_NAME,
                    **({} if pooled else settings(seconds)),
                    **(UNCONVERTED if database in self.unconverted else {}),
                },
                statement_cache_size=0 if pooled else 100,
                max_cached_statement_lifetime=0,  # for ever: the statements are always the same
                max_cacheable_statement_size=0,
                timeout=CONNECT_SECONDS,
            )
        except UnicodeDecodeError:  # what the server says before it knows our encoding is in its own
            raise QueryError("connect", "the login failed, in words that are not UTF-8: see lc_messages") from None
        except (asyncpg.ClientConfigurationError, ssl.SSLError):  # a refused certificate is a ValueError, too
            raise
        except ValueError:  # from a URL that does not parse; its message may quote a part of the password
            message = "the URL cannot be read; percent-encode special characters in user and password"
            raise asyncpg.ClientConfigurationError(message) from None
        self._look_at(connection._transport)  # noqa: SLF001 - asyncpg has no other way to its socket
        return connection

    def _password(self) -> str | None:
        try:
            return self.target.secret("password")
        except ValueError as error:  # its file can be read no more
            raise QueryError("auth", str(error)) from None

    def _look_at(self, transport: Any) -> None:
        encrypted = transport.get_extra_info("ssl_object")
        self.certificate = encrypted.getpeercert(binary_form=True) if encrypted else None
        if transport.get_extra_info("peername"):  # a Unix socket's peer has no name
            for option in SOCKET_OPTIONS:
                transport.get_extra_info("socket").setsockopt(*option)


def statement_timeout(seconds: float) -> str:
    """Return what lets the server end a statement a little before the caller's deadline does."""
    return f"{seconds * 900:.0f}ms"


def settings(seconds: float) -> Mapping[str, str]:
    return {**_SETTINGS, "statement_timeout": statement_timeout(seconds)}


def _without_libpq_parameters(url: str) -> str:
    parts = urlsplit(url)
    kept = [pair for pair in parts.query.split("&") if pair.partition("=")[0] not in _LIBPQ_ONLY]
    return urlunsplit(parts._replace(query="&".join(kept)))
