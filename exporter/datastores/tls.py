"""TLS to the stores, whatever their clients: files that rotate, a server's other name, and its certificate."""

import socket
import ssl
from typing import Self

import structlog

from exporter.config.client_tls import TlsFiles, client_context
from exporter.config.targets import TargetBase
from exporter.datastores.off_loop import in_thread

_log = structlog.get_logger("exporter")


class ReloadingClientContext(ssl.SSLContext):
    """The TLS of one target, for clients that keep one context for all their connections.

    Each handshake is made by a context of the files as they are then, so that they may rotate, and under the name that
    the server's certificate bears. What a client sets on this one has no effect, so none can weaken it.
    """

    def __new__(cls, *_: object) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, files: TlsFiles, server_name: str | None = None) -> None:
        self._files = files
        self._server_name = server_name
        self._handshake: ssl.SSLObject | None = None
        self._certificate: bytes | None = None

    @property
    def certificate(self) -> bytes | None:
        """Return what the server showed in the last handshake that ended well, in DER."""
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
        context = client_context(self._files)
        name = self._name(server_hostname)
        self._handshake = context.wrap_bio(incoming, outgoing, server_side, name, session)
        return self._handshake

    def wrap_socket(  # noqa: PLR0913, PLR0917 - as above
        self,
        sock: socket.socket,
        server_side: bool = False,  # noqa: FBT001, FBT002 - as above
        do_handshake_on_connect: bool = True,  # noqa: FBT001, FBT002 - as above
        suppress_ragged_eofs: bool = True,  # noqa: FBT001, FBT002 - as above
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        context = client_context(self._files)
        name = self._name(server_hostname)
        wrapped = context.wrap_socket(sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, name, session)
        self._certificate = wrapped.getpeercert(binary_form=True)
        return wrapped

    def _name(self, server_hostname: str | bytes | None) -> str | bytes | None:
        name = self._server_name or server_hostname
        if name is None and self._files.verify:  # OpenSSL would take this for a wish to let any name pass
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, "the client does not say whom it expects")
        return name


class CertificateExpiry:
    """When the certificate that a server showed expires; each is read once."""

    def __init__(self) -> None:
        self._certificate: bytes | None = None
        self._not_after: float | None = None

    async def of(self, certificate: bytes | None) -> float | None:
        """Return Unix time, None without a certificate that can be read."""
        if certificate != self._certificate:
            # In a thread: the first one imports for 50 ms, for which the loop must not stop.
            self._not_after = await in_thread(_not_after, certificate) if certificate else None
            self._certificate = certificate
        return self._not_after


def tls_of(target: TargetBase) -> ReloadingClientContext | None:
    """Return the target's TLS, None where it asks for none."""
    warn_unverified(target)
    return ReloadingClientContext(target.tls_files, target.server_name) if target.tls else None


def warn_unverified(target: TargetBase) -> None:
    """Say, once a start of the target, that it asked for TLS with whoever answers."""
    if target.tls and not target.tls_files.verify:
        _log.warning("does not verify the server's certificate: whoever is between can read along", target=target.name)


def _not_after(certificate: bytes) -> float | None:
    from cryptography import x509  # noqa: PLC0415 - 10 MiB, for those alone who use TLS

    try:
        return x509.load_der_x509_certificate(certificate).not_valid_after_utc.timestamp()
    except ValueError:  # one that OpenSSL took, but is odd
        return None
