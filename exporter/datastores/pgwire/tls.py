"""TLS by libpq's parameters, for connections of our own client."""

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from exporter.config.files import lent_file
from exporter.config.libpq.conninfo import Conninfo

_PARAMETERS = (
    "sslmode", "sslnegotiation", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl",
    "ssl_min_protocol_version", "ssl_max_protocol_version",
)  # fmt: skip
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_STRICT = ("verify-ca", "verify-full")
_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


def attempts(info: Conninfo) -> tuple[bool, ...]:
    """Return what to try in turn: True is TLS, False none."""
    mode = info.get("sslmode", "prefer")
    return {"disable": (False,), "allow": (False, True), "prefer": (True, False)}.get(mode, (True,))


@contextmanager
def lent_parameters(info: Conninfo) -> Iterator[Mapping[str, str]]:
    """Yield a URL's parameters of TLS, with lent files, as OpenSSL would wait for a slow one; raise OSError."""
    given = {name: info.parameters[name] for name in _PARAMETERS if name in info.parameters}
    named = [name for name in _FILES if given.get(name, "system") != "system"]
    with ExitStack() as lent:
        yield {**given, **{name: lent.enter_context(lent_file(Path(given[name]))) for name in named}}


def context_of(info: Conninfo) -> ssl.SSLContext:
    """Make a context of the files as they are now; raise OSError where one cannot be read."""
    mode = info.get("sslmode", "prefer")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    default = Path(os.environ.get("HOME", "/")) / ".postgresql/root.crt"  # where libpq looks, too
    authorities = info.get("sslrootcert") or (str(default) if default.exists() else "")
    if mode in _STRICT and not authorities:
        raise ssl.SSLError(ssl.SSL_ERROR_SSL, f"sslmode={mode} needs sslrootcert: there is no {default}")
    if authorities and mode in (*_STRICT, "require"):
        made.verify_mode = ssl.CERT_REQUIRED
        made.check_hostname = mode == "verify-full"
        with lent_file(Path(authorities)) as name:
            made.load_verify_locations(name)
    if revoked := info.get("sslcrl"):
        with lent_file(Path(revoked)) as name:
            made.load_verify_locations(name)
        made.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if certificate := info.get("sslcert"):
        with lent_file(Path(certificate)) as cert, lent_file(Path(info.get("sslkey") or certificate)) as key:
            made.load_cert_chain(cert, key, lambda: info.get("sslpassword"))
    made.minimum_version = _VERSIONS[info.get("ssl_min_protocol_version", "TLSv1.2")]
    if highest := info.get("ssl_max_protocol_version"):
        made.maximum_version = _VERSIONS[highest]
    made.set_alpn_protocols(["postgresql"])
    return made
