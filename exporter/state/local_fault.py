"""Faults of the exporter's own machine, distinguished from faults of a server."""

import errno
import os
import socket
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal

from exporter.errors import no_thread

LocalFault = Literal["resources", "network", "dns"]

MEANINGS: Mapping[LocalFault, str] = MappingProxyType(
    {
        "resources": "the exporter has run out of file descriptors, sockets or memory",
        "network": "the exporter's machine has no way into any network",
        "dns": "the exporter's machine gets no answer from a name server",
    }
)

_OUT_OF = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL}
_NO_ROUTE = {errno.ENETUNREACH, errno.ENETDOWN}
_ANSWERS = {socket.EAI_NONAME, socket.EAI_NODATA}  # "no such name" comes from a working name server
_REMOTE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))  # documentation addresses, in use nowhere


def local_fault(error: BaseException) -> LocalFault | None:
    """Return the fault of this machine that caused an error of a store's client; None when there is none."""
    found = {_fault(root) for root in _roots(error)}
    return found.pop() if len(found) == 1 else None


def _fault(error: BaseException) -> LocalFault | None:
    if isinstance(error, socket.gaierror):
        return None if error.errno in _ANSWERS else "dns"
    number = getattr(error, "errno", None)
    if number in _OUT_OF or isinstance(error, MemoryError) or no_thread(error):
        return "resources"
    if isinstance(error, ImportError) and any(os.strerror(out) in str(error) for out in _OUT_OF):
        return "resources"  # the dynamic linker reports no number, only the system's text
    return "network" if number in _NO_ROUTE and not has_route() else None


def _roots(error: BaseException) -> Iterator[BaseException]:
    """Yield the root causes of an error: several where several addresses were tried."""
    behind = error.__cause__ or error.__context__
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _roots(one)
    elif behind is not None:
        yield from _roots(behind)
    else:
        yield error


def has_route() -> bool:
    """Return whether there is a route for IPv4 or IPv6; connecting a UDP socket looks it up and sends nothing.

    One unreachable address proves nothing: a host has several, and a machine without IPv6 cannot reach half of them.
    """
    for family, address in _REMOTE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, 9))
        except OSError:
            continue
        return True
    return False
