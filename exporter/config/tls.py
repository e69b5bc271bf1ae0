"""TLS of clients and of our own server: contexts whose files may change, and when certificates end."""

import ssl
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from exporter.config.files import Stamp, lent_file, stamp


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


class TlsFiles(NamedTuple):
    """The files of a context; without ca it trusts the machine's authorities, without key the key is in cert."""

    ca: Path | None
    cert: Path | None
    key: Path | None
    verify: bool


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a context of the files as they are now, shared by all targets with the same files; raise OSError."""
    return _loaded(files, tuple(stamp(file) for file in files[:3] if file is not None))


@lru_cache(maxsize=64)  # the machine's authorities take 30 ms and 2 MiB, and most targets trust the same
def _loaded(files: TlsFiles, _stamps: tuple[Stamp, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not files.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif files.ca is None:
        context.load_default_certs()
    else:
        _load_authority(context, files.ca)
    if files.cert is not None:
        _load_own(context, files.cert, files.key)
    return context


def _load_authority(context: ssl.SSLContext, file: Path) -> None:
    try:
        with lent_file(file) as name:
            context.load_verify_locations(name)
    except ssl.SSLError:
        raise ssl.SSLError(ssl.SSL_ERROR_SSL, f"{file} holds no certificate of an authority in PEM") from None


def _load_own(context: ssl.SSLContext, cert: Path, key: Path | None) -> None:
    try:
        with lent_file(cert) as cert_name, lent_file(key or cert) as key_name:
            context.load_cert_chain(cert_name, key_name, password=_no_password)
    except ssl.SSLError as error:
        problem = "not one's key" if error.reason == "KEY_VALUES_MISMATCH" else "no certificate and key in PEM"
        raise ssl.SSLError(
            ssl.SSL_ERROR_SSL, f"{' and '.join(str(file) for file in (cert, key) if file)}: {problem}"
        ) from None


def _no_password() -> str:
    """Raise instead of giving a password: OpenSSL would prompt on the terminal."""
    raise OSError("the private key is encrypted: give one without a password")
