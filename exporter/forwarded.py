"""Where a client found us: at the address of its request, or at the one of a reverse proxy that we trust."""

import re
from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

from starlette.requests import Request

Network = IPv4Network | IPv6Network

_HOST = re.compile(r"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9_.~-]+)*/?")


class Place(NamedTuple):
    """An address as a client knows it; prefix: the path that its proxy takes away, without a slash at the end."""

    scheme: str
    address: str
    prefix: str = ""


def place(request: Request, trusted: Collection[Network]) -> Place:
    """Return where the client found us; what a proxy says counts only when it is a trusted one's, and well-formed."""
    direct = Place(request.url.scheme, request.url.netloc)
    if not _is_trusted(request, trusted):
        return direct
    scheme, host, port, prefix = (_last(request, name) for name in ("proto", "host", "port", "prefix"))
    address = direct.address
    if found := _HOST.fullmatch(host):
        address = f"{host}:{port}" if port.isdecimal() and len(port) <= len("65535") and not found[1] else host
    return Place(
        scheme if scheme in ("http", "https") else direct.scheme,
        address,
        prefix.rstrip("/") if _PREFIX.fullmatch(prefix) else "",
    )


def _is_trusted(request: Request, trusted: Collection[Network]) -> bool:
    try:
        peer = ip_address(request.client.host if request.client else "")
    except ValueError:  # a name, in tests
        return False
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped:  # of a socket that listens to both families
        peer = peer.ipv4_mapped
    return any(peer in network for network in trusted)


def _last(request: Request, name: str) -> str:
    """Return what the nearest proxy says: it adds its word behind those that came to it, perhaps from the client."""
    values = ",".join(request.headers.getlist(f"x-forwarded-{name}"))
    return values.rpartition(",")[2].strip()
