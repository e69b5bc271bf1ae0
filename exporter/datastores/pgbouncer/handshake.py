"""A handshake without a login, to see the server's present certificate."""

import asyncio
import ssl

from exporter.datastores.pgwire.client import opened
from exporter.datastores.pgwire.tls import context_of
from exporter.libpq import Conninfo

_SECONDS = 2.0


async def certificate(info: Conninfo, tls: ssl.SSLContext | None) -> bytes | None:
    """Shake hands and leave; return what the server showed, in DER. Raise OSError where it is not to be trusted."""
    async with asyncio.timeout(_SECONDS):
        _, writer = await opened(info, info.hosts[0], tls or context_of(info), required=True)
        try:
            encrypted = writer.get_extra_info("ssl_object")
            return encrypted.getpeercert(binary_form=True) if encrypted else None
        finally:
            writer.transport.abort()
