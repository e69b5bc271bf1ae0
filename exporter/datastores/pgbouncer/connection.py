"""One held connection to PgBouncer's console, and the reasons of its errors."""

import asyncio
import ssl

from exporter.config.libpq.conninfo import Conninfo
from exporter.config.stores.pgbouncer import PgbouncerTarget
from exporter.datastores.pgwire.client import Client, opened
from exporter.datastores.pgwire.errors import ServerError, reason_for
from exporter.datastores.pgwire.login import terms_of
from exporter.datastores.pgwire.tls import context_of
from exporter.datastores.tls import certificate_of
from exporter.errors import QueryError, Reason
from exporter.queries.query import Row

_CONNECT_SECONDS = 10.0
_HANDSHAKE_SECONDS = 2.0


class Console:
    """The console as one lane sees it, connected when it is needed."""

    def __init__(self, target: PgbouncerTarget, tls: ssl.SSLContext | None) -> None:
        self._target = target
        self._tls = tls
        self._client: Client | None = None
        self.opened = 0

    async def rows(self, command: str) -> list[Row]:
        """Run a command; when PgBouncer was restarted since the last one, log in again and run it."""
        held = self._client is not None
        try:
            return await self._run(command)
        except (OSError, ServerError):
            if not held or self._client is not None:
                raise
        return await self._run(command)

    async def certificate(self) -> bytes | None:
        """Return the certificate that the server shows now, in DER; None without TLS, or where it does not answer."""
        if self._client is None or self._client.certificate is None:
            return None
        try:
            return await certificate(self._target.conninfo, self._tls)
        except (OSError, EOFError):
            return None

    async def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _run(self, command: str) -> list[Row]:
        if self._client is None:
            info = self._target.conninfo
            async with asyncio.timeout(info.connect_seconds(_CONNECT_SECONDS)):
                self._client = await Client.connect(info, terms_of(self._target, info.database), self._tls)
            self.opened += 1
        client = self._client
        try:
            return await client.rows(command)
        finally:
            if client.closed:
                self._client = None


async def certificate(info: Conninfo, tls: ssl.SSLContext | None) -> bytes | None:
    """Return the certificate of a new handshake, in DER; raise OSError where it is not trusted."""
    async with asyncio.timeout(_HANDSHAKE_SECONDS):
        _, writer = await opened(info, info.hosts[0], tls or context_of(info), required=True)
        try:
            return certificate_of(writer)
        finally:
            writer.transport.abort()


def reason_of(error: BaseException) -> Reason:
    """Classify an error of the console, of the network under it, or of our own."""
    if isinstance(error, QueryError):
        return error.reason
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, OSError | ServerError):
        return reason_for(str(error))
    return "decode"
