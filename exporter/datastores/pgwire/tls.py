"""TLS as libpq's words ask for it, for a connection that is ours from the first byte."""

import os
import ssl
from pathlib import Path

from exporter.bounded_file import stamp
from exporter.libpq import Conninfo

_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_STRICT = ("verify-ca", "verify-full")
_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


def attempts(info: Conninfo) -> tuple[bool, ...]:
    """Tell with what to try in turn: TLS or none."""
    mode = info.word("sslmode", "prefer")
    return {"disable": (False,), "allow": (False, True), "prefer": (True, False)}.get(mode, (True,))


def check_files(info: Conninfo) -> None:
    """Raise OSError where a file of certificates is no small regular file that answers: OpenSSL would wait for it."""
    for word in _FILES:
        if (file := info.word(word)) not in ("", "system"):
            stamp(Path(file))


def context_of(info: Conninfo) -> ssl.SSLContext:
    """Make a context of the files as they are now; raise OSError where one cannot be read."""
    check_files(info)
    mode = info.word("sslmode", "prefer")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = mode == "verify-full"
    made.verify_mode = ssl.CERT_NONE
    default = Path(os.environ.get("HOME", "/")) / ".postgresql/root.crt"  # where libpq looks, too
    authorities = info.word("sslrootcert") or (str(default) if default.exists() else "")
    if mode in _STRICT and not authorities:
        raise ssl.SSLError(f"sslmode={mode} needs sslrootcert: there is no {default}")
    if authorities and mode in (*_STRICT, "require"):
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(authorities)
    if revoked := info.word("sslcrl"):
        made.load_verify_locations(revoked)
        made.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if certificate := info.word("sslcert"):
        made.load_cert_chain(certificate, info.word("sslkey") or None, lambda: info.word("sslpassword"))
    made.minimum_version = _VERSIONS[info.word("ssl_min_protocol_version", "TLSv1.2")]
    if highest := info.word("ssl_max_protocol_version"):
        made.maximum_version = _VERSIONS[highest]
    made.set_alpn_protocols(["postgresql"])
    return made
