"""TLS in libpq's words, and what libpq keeps to itself: the server's certificate, and why it was refused."""

import asyncio
import os
import ssl
from collections.abc import Mapping

from exporter.bounded_file import stamp
from exporter.targets import PgbouncerTarget

_SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)
_SECONDS = 2.0
_NO_FILE = f"{os.devnull}/none"  # without a name of its own, libpq would look for one in the home folder


async def libpq_tls(target: PgbouncerTarget, host: str, port: str) -> Mapping[str, str]:
    """Return the parameters that stand for a target's keys for TLS; none where only the URL speaks of it."""
    if not target.tls:
        return {}
    files = target.tls_files
    for file in filter(None, files[:3]):
        stamp(file)  # libpq reads them itself, whatever they are and however long it takes
    machines = ssl.get_default_verify_paths().cafile or "system"  # the wheel's libpq knows no folder of this machine
    parameters = {
        "sslmode": "verify-full" if files.verify else "require",
        "sslrootcert": str(files.ca or machines) if files.verify else _NO_FILE,
    }
    if files.cert is not None:
        parameters |= {"sslcert": str(files.cert), "sslkey": str(files.key or files.cert)}
    if target.server_name is not None:
        [*_, (address, *_)], *_ = await asyncio.get_running_loop().getaddrinfo(host, port)
        parameters |= {"host": target.server_name, "hostaddr": str(address)}
    return parameters


async def certificate(host: str, port: int | str, name: str, tls: ssl.SSLContext) -> bytes | None:
    """Shake hands and leave; return what the server showed, in DER. Raise OSError where it is not to be trusted."""
    async with asyncio.timeout(_SECONDS):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(_SSL_REQUEST)
            if await reader.read(1) != b"S":
                return None
            await writer.start_tls(tls, server_hostname=name)
            shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return shown
        finally:
            writer.transport.abort()
