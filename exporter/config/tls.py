"""What the TLS of clients and of our own server share: contexts whose files may change, and when certificates end."""

import ssl
from collections.abc import Callable
from typing import Any, ClassVar, Self


class DelegatingContext(ssl.SSLContext):
    """Make each connection with the context that `current` returns at that moment.

    Clients and servers keep one context for all their connections; with this one the files behind it may change. What
    they set on it has no effect, so none can weaken it.
    """

    side: ClassVar[int] = ssl.PROTOCOL_TLS_CLIENT

    def __new__(cls, *_: object) -> Self:
        return super().__new__(cls, cls.side)

    def __init__(self, current: Callable[[], ssl.SSLContext]) -> None:
        self._current = current

    def wrap_bio(self, *arguments: Any, **settings: Any) -> ssl.SSLObject:
        return self._current().wrap_bio(*arguments, **settings)

    def wrap_socket(self, *_: object, **__: object) -> ssl.SSLSocket:
        raise NotImplementedError("asyncio, which all connections use, calls wrap_bio")


def not_after(certificate: bytes, *, pem: bool) -> float:
    """Return when a certificate, in PEM or DER, expires, as Unix time; raise ValueError where it is none."""
    from cryptography import x509  # noqa: PLC0415 - 10 MiB, which a process without TLS does not need

    load = x509.load_pem_x509_certificate if pem else x509.load_der_x509_certificate
    return load(certificate).not_valid_after_utc.timestamp()
