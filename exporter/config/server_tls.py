"""The TLS of our own server: the settings of the web file, as far as OpenSSL has them."""

import ssl
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from exporter.config.files import lent, lent_file
from exporter.config.secret_files import read_file
from exporter.config.tls import DelegatingContext, not_after
from exporter.config.web_config import CIPHERS, TlsServer

_VERSIONS = {"TLS13": ssl.TLSVersion.TLSv1_3}
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1"}
_ASKED = {"VerifyClientCertIfGiven": ssl.CERT_OPTIONAL, "RequireAndVerifyClientCert": ssl.CERT_REQUIRED}


class TlsError(Exception):
    """What is wrong with a key of tls_server_config."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


class ReloadingServerContext(DelegatingContext):
    """Make each connection with the context of the web file as it is then."""

    side = ssl.PROTOCOL_TLS_SERVER


class _Handshake(ssl.SSLObject):
    """Fail the handshake of a client whose certificate has none of the allowed names."""

    def do_handshake(self) -> None:
        super().do_handshake()
        context = self.context
        if isinstance(context, _ServerContext) and context.allowed and not context.allowed & names(self.getpeercert()):
            raise ssl.SSLCertVerificationError("the client's certificate has none of the allowed names")


class _ServerContext(ssl.SSLContext):
    sslobject_class = _Handshake
    allowed: frozenset[str] = frozenset()


def server_context(tls: TlsServer) -> ssl.SSLContext:
    """Make a context; raise TlsError where a file or a setting is wrong."""
    context = _ServerContext(ssl.PROTOCOL_TLS_SERVER)
    for key, file in tls.files.items():
        try:
            read_file(file)
        except ValueError as error:
            raise TlsError(key, str(error)) from None
    _add_certificate(context, tls)
    _ask_clients(context, tls)
    _choose_ciphers(context, tls)
    context.set_alpn_protocols(["http/1.1"])
    return context


def certificate_not_after(tls: TlsServer) -> float:
    """Return when our certificate expires, as Unix time; raise TlsError where it is none."""
    pem = read_file(tls.cert_file) if tls.cert_file else str(tls.cert)
    try:
        return not_after(pem.encode(), pem=True)
    except ValueError:
        raise TlsError("cert_file" if tls.cert_file else "cert", "expected an X.509 certificate, in PEM") from None


def names(certificate: Any) -> set[str]:
    """Return the names in a peer's certificate: DNS, IP, e-mail and URI."""
    return {name for _, name in (certificate or {}).get("subjectAltName", ())}


def _add_certificate(context: ssl.SSLContext, tls: TlsServer) -> None:
    inline_key = tls.key.get_secret_value() if tls.key else ""
    try:
        with _lent(tls.cert_file, tls.cert or "") as cert, _lent(tls.key_file, inline_key) as key:
            context.load_cert_chain(cert, key, password="")  # or OpenSSL would prompt on the terminal
    except OSError as error:
        if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError("key_file" if tls.key_file else "key", "not the key of the certificate") from None
        problem = "expected a certificate and its key, in PEM and without a passphrase"
        raise TlsError("cert_file" if tls.cert_file else "cert", problem) from None


def _lent(file: Path | None, pem: str) -> AbstractContextManager[str]:
    """Lend a file, or an inline PEM, as the name that OpenSSL wants."""
    return lent_file(file) if file is not None else lent(pem.encode())


def _ask_clients(context: _ServerContext, tls: TlsServer) -> None:
    context.verify_mode = _ASKED.get(tls.client_auth_type, ssl.CERT_NONE)
    context.allowed = frozenset(tls.client_allowed_sans)
    try:
        if tls.client_ca_file or tls.client_ca:
            with _lent(tls.client_ca_file, tls.client_ca or "") as authorities:
                context.load_verify_locations(authorities)
        elif context.verify_mode != ssl.CERT_NONE:
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    except OSError:
        key = "client_ca_file" if tls.client_ca_file else "client_ca"
        raise TlsError(key, "expected certificates of authorities, in PEM") from None


def _choose_ciphers(context: ssl.SSLContext, tls: TlsServer) -> None:
    """Set what OpenSSL allows: no version below 1.2, no suite of 1.3, one curve or its own order of all."""
    context.minimum_version = _VERSIONS.get(tls.min_version, ssl.TLSVersion.TLSv1_2)
    context.maximum_version = _VERSIONS.get(tls.max_version, ssl.TLSVersion.TLSv1_2)
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    suites = [suite for suite in map(CIPHERS.__getitem__, tls.cipher_suites) if suite]
    if suites:
        context.set_ciphers(":".join(suites))
    elif tls.cipher_suites:  # of TLS 1.3 alone
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    if len(tls.curve_preferences) == 1:
        [curve] = tls.curve_preferences
        try:
            context.set_ecdh_curve(_CURVES.get(curve, curve))
        except ValueError:
            raise TlsError("curve_preferences", f"{ssl.OPENSSL_VERSION} has no {curve}") from None
