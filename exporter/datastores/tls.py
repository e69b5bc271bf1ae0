"""TLS to the stores, for every client: files that rotate, a server's other name, and its certificate."""

import asyncio
import ssl
from contextlib import suppress

import structlog

from exporter.config.targets import TargetBase
from exporter.config.tls import DelegatingContext, TlsFiles, client_context, not_after
from exporter.datastores.off_loop import in_thread

_log = structlog.get_logger("exporter")


class ReloadingClientContext(DelegatingContext):
    """The TLS of one target: each handshake is made with the files as they are then.

    server_name: the name in the server's certificate, where it is not the one that the client connects to.
    """

    def __init__(self, files: TlsFiles, server_name: str | None = None) -> None:
        super().__init__(lambda: client_context(files))
        self._verify = files.verify
        self._server_name = server_name
        self._handshake: ssl.SSLObject | None = None
        self._certificate: bytes | None = None

    @property
    def certificate(self) -> bytes | None:
        """Return the server's certificate of the last handshake that succeeded, in DER."""
        if self._handshake is not None and self._handshake.version() is not None:
            self._certificate = self._handshake.getpeercert(binary_form=True)
            self._handshake = None
        return self._certificate

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - ssl's signature, which some clients use by position
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        name = self._server_name or server_hostname
        if name is None and self._verify:  # OpenSSL would accept a certificate of any name
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, "the client does not say whom it expects")
        self._handshake = super().wrap_bio(incoming, outgoing, server_side, name, session)
        return self._handshake


class CertificateExpiry:
    """When the certificate of a server expires; each certificate is parsed once."""

    def __init__(self) -> None:
        self._certificate: bytes | None = None
        self._not_after: float | None = None

    async def of(self, certificate: bytes | None) -> float | None:
        """Return Unix time, None without a certificate that can be parsed."""
        if certificate != self._certificate:
            # In a thread: the import of the first call takes 50 ms.
            self._not_after = await in_thread(_not_after, certificate) if certificate else None
            self._certificate = certificate
        return self._not_after


def tls_of(target: TargetBase) -> ReloadingClientContext | None:
    """Return the target's TLS, None where it has none; log where any server's certificate is accepted."""
    if target.tls and not target.tls_files.verify:
        _log.warning("does not verify the server's certificate: whoever is between can read along", target=target.name)
    return ReloadingClientContext(target.tls_files, target.server_name) if target.tls else None


def certificate_of(connection: asyncio.BaseTransport | asyncio.StreamWriter) -> bytes | None:
    """Return the certificate that a connection's server showed, in DER; None without TLS."""
    encrypted = connection.get_extra_info("ssl_object")
    return encrypted.getpeercert(binary_form=True) if encrypted else None


def _not_after(certificate: bytes) -> float | None:
    with suppress(ValueError):  # OpenSSL accepts some that are malformed
        return not_after(certificate, pem=False)
    return None
