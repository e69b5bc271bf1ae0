"""Whom requests come from, as far as shares of what is scarce go."""

from functools import lru_cache
from ipaddress import ip_address

from starlette.types import Scope


def origin(scope: Scope) -> str:
    """Name the client of a request: its IPv4 address, or the half of its IPv6 address that one customer has whole."""
    client = scope.get("client")
    return origin_of(client[0]) if client else ""


@lru_cache(maxsize=1024)
def origin_of(host: str) -> str:
    """Name the origin of an address."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:  # a Unix socket's, a test's
        return host
    if address.version == 4:  # noqa: PLR2004 - its name
        return str(address)
    return str(address.ipv4_mapped or address.packed[:8].hex())
