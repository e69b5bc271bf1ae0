"""HTTP clients of what speaks HTTP: no address logged, no proxy heeded, a vanished peer noticed."""

import logging
import ssl

import httpx

from exporter.datastores.keepalive import SOCKET_OPTIONS


def http_client(
    url: str, tls: ssl.SSLContext | None, seconds: float, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    """Make a client of one server, for the few connections that our lanes need; tests give a transport."""
    for name in ("httpx", "httpcore"):  # each request with its address at INFO, the host at DEBUG
        logging.getLogger(name).setLevel(logging.WARNING)
    # trust_env: a proxy set for other purposes must not come between.
    return httpx.AsyncClient(
        base_url=url, timeout=seconds, trust_env=False, transport=transport or http_transport(tls, 4)
    )


def http_transport(tls: ssl.SSLContext | None, connections: int) -> httpx.AsyncBaseTransport:
    """Make what carries requests; without TLS no authority is loaded, which would take 30 ms."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=1, keepalive_expiry=None)
    return httpx.AsyncHTTPTransport(
        verify=tls or False, trust_env=False, limits=limits, socket_options=list(SOCKET_OPTIONS)
    )
