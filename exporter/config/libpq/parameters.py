"""Every connection parameter of libpq, and which values of it the exporter supports; it ignores none.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType

from exporter.config.files import read_bounded

Check = Callable[[str], str | None]  # of a value: None where it is supported, else the problem

METHODS = ("password", "md5", "gss", "sspi", "scram-sha-256", "oauth", "none")  # those of require_auth
_SETTING = re.compile(r"(^|\s)--?[A-Za-z]")
_NO_KERBEROS = "the exporter speaks no Kerberos: leave it out"
_NO_OAUTH = "the exporter has no login by OAuth: leave it out"
_NOT_HERE = "the exporter does not support it: leave it out"


def _one_of(*values: str) -> Check:
    return lambda value: None if value in values else f"expected {' or '.join(values)}"


def _only(value: str, why: str) -> Check:
    """Accept the one value that changes nothing."""
    return lambda given: None if given == value else why


def _refused(why: str) -> Check:
    return lambda _: why


def _free(_: str) -> None:
    """Accept every value."""


def _whole_number(value: str) -> str | None:
    return None if re.fullmatch(r"-?[0-9]{1,9}", value.strip()) else "expected a whole number"


def _up_to(most: int) -> Check:
    """Accept what the operating system accepts: with more, each connection would fail."""
    return lambda value: (
        None if not _whole_number(value) and int(value) <= most else f"expected a whole number, {most} at most"
    )


def _switch(value: str) -> str | None:
    return None if value.lower() in ("0", "1", "on", "off", "true", "false", "yes", "no") else "expected 0 or 1"


def _file(value: str) -> str | None:
    try:
        read_bounded(Path(value))
    except OSError as error:
        return f"{value} cannot be read: {error.strerror}"
    return None


def _root_certificates(value: str) -> str | None:
    return None if value == "system" else _file(value)


def _ports(value: str) -> str | None:
    """Accept a list, in which an empty entry is the usual port."""
    fine = all(not port or (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16) for port in value.split(","))
    return None if fine and len(value) < 1000 else "expected a port, 1 to 65535"  # noqa: PLR2004 - 100 hosts are many


def _addresses(value: str) -> str | None:
    """Accept a list, in which an empty entry is looked up by its name."""
    try:
        for address in filter(None, value.split(",")):
            ip_address(address)
    except ValueError:
        return "expected an IP address; a name is written as host"
    return None


def _methods(value: str) -> str | None:
    """Check a list of methods; either all are allowed or, with a `!` before each, all are forbidden."""
    listed = [method.strip() for method in value.split(",")]
    forbidden = [method.startswith("!") for method in listed]
    unknown = [method for method in listed if method.removeprefix("!") not in METHODS]
    if unknown or any(forbidden) != all(forbidden) or len(set(listed)) < len(listed):
        return f"expected a list of {', '.join(METHODS)}, all of them with a ! before, or none"
    return None


def _options(value: str) -> str | None:
    """Accept what names a server behind a proxy (endpoint=…); settings would change what our queries rely on."""
    if _SETTING.search(value) or "\\" in value:
        return "the exporter sets up its sessions itself: write ALTER ROLE … SET … for what else the role needs"
    return None


def _encoding(value: str) -> str | None:
    utf8 = value.lower().replace("-", "") in ("utf8", "unicode", "auto")
    return None if utf8 else "the exporter reads UTF-8, which every server can send: leave it out"


_TLS_VERSION = _one_of("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")

PARAMETERS: Mapping[str, Check] = MappingProxyType(
    {
        # The server and the user.
        "host": _free,
        "hostaddr": _addresses,
        "port": _ports,
        "dbname": _free,
        "user": _free,
        "password": _free,
        "passfile": _free,
        "service": _free,
        "servicefile": _free,
        # Authentication of either side.
        "require_auth": _methods,
        "channel_binding": _one_of("disable", "prefer", "require"),
        "requirepeer": _free,
        "scram_client_key": _refused("write the password; a key in its place is not supported"),
        "scram_server_key": _refused("write the password; a key in its place is not supported"),
        "krbsrvname": _refused(_NO_KERBEROS),
        "gsslib": _refused(_NO_KERBEROS),
        "gssdelegation": _only("0", _NO_KERBEROS),
        "gssencmode": lambda value: None if value in ("disable", "prefer") else _NO_KERBEROS,
        "oauth_issuer": _refused(_NO_OAUTH),
        "oauth_client_id": _refused(_NO_OAUTH),
        "oauth_client_secret": _refused(_NO_OAUTH),
        "oauth_scope": _refused(_NO_OAUTH),
        # TLS.
        "sslmode": _one_of("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
        "requiressl": _refused("write sslmode=require"),
        "ssl": _only("true", "write sslmode=…; of JDBC's word only ssl=true is known, as sslmode=require"),
        "sslnegotiation": _one_of("postgres", "direct"),
        "sslcompression": _only("0", "TLS has no compression any more: leave it out"),
        "sslcert": _file,
        "sslkey": _file,
        "sslpassword": _free,
        "sslcertmode": _only(
            "allow", "leave it out: a certificate is sent where sslcert names one and it is asked for"
        ),
        "sslrootcert": _root_certificates,
        "sslcrl": _file,
        "sslcrldir": _refused("write sslcrl, which names a file"),
        "sslsni": _only("1", "the exporter always names the host that it wants: leave it out"),
        "sslkeylogfile": _refused("the exporter writes no keys of its connections to files: leave it out"),
        "ssl_min_protocol_version": _TLS_VERSION,
        "ssl_max_protocol_version": _TLS_VERSION,
        # Timeouts and keepalives.
        "connect_timeout": _whole_number,
        "keepalives": _switch,
        "keepalives_idle": _up_to(32767),
        "keepalives_interval": _up_to(32767),
        "keepalives_count": _up_to(127),
        "tcp_user_timeout": _whole_number,
        # The choice among several hosts.
        "target_session_attrs": _one_of("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
        "load_balance_hosts": _only("disable", "a target is one server: make one target for each"),
        # The session.
        "application_name": _only(
            "datatier-exporter", "the exporter is always datatier-exporter, so that it leaves itself out: leave it out"
        ),
        "fallback_application_name": _free,  # no effect: the exporter sets application_name
        "client_encoding": _encoding,
        "options": _options,
        "replication": lambda value: None if value.lower() in ("0", "off", "no", "false") else _NOT_HERE,
        "min_protocol_version": _only("3.0", "the exporter speaks 3.0, as every server does: leave it out"),
        "max_protocol_version": _one_of("3.0", "3.2", "latest"),
        "binary_parameters": _one_of("yes", "no"),  # of lib/pq: the format of values on the wire
    }
)

# What libpq reads from the environment where the connection string has no value; PGAPPNAME would have no effect.
VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "PGHOST": "host", "PGHOSTADDR": "hostaddr", "PGPORT": "port", "PGDATABASE": "dbname", "PGUSER": "user",
        "PGPASSWORD": "password", "PGPASSFILE": "passfile", "PGSERVICE": "service", "PGSERVICEFILE": "servicefile",
        "PGREQUIREAUTH": "require_auth", "PGCHANNELBINDING": "channel_binding", "PGREQUIREPEER": "requirepeer",
        "PGKRBSRVNAME": "krbsrvname", "PGGSSLIB": "gsslib", "PGGSSDELEGATION": "gssdelegation",
        "PGGSSENCMODE": "gssencmode", "PGSSLMODE": "sslmode", "PGREQUIRESSL": "requiressl",
        "PGSSLNEGOTIATION": "sslnegotiation", "PGSSLCOMPRESSION": "sslcompression", "PGSSLCERT": "sslcert",
        "PGSSLKEY": "sslkey", "PGSSLCERTMODE": "sslcertmode", "PGSSLROOTCERT": "sslrootcert", "PGSSLCRL": "sslcrl",
        "PGSSLCRLDIR": "sslcrldir", "PGSSLSNI": "sslsni", "PGSSLMINPROTOCOLVERSION": "ssl_min_protocol_version",
        "PGSSLMAXPROTOCOLVERSION": "ssl_max_protocol_version", "PGCONNECT_TIMEOUT": "connect_timeout",
        "PGTARGETSESSIONATTRS": "target_session_attrs", "PGLOADBALANCEHOSTS": "load_balance_hosts",
        "PGCLIENTENCODING": "client_encoding", "PGOPTIONS": "options",
        "PGMINPROTOCOLVERSION": "min_protocol_version", "PGMAXPROTOCOLVERSION": "max_protocol_version",
    }
)  # fmt: skip


def checked(pairs: Sequence[tuple[str, str]], where: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs that have a value; raise ValueError for the first that is unknown, repeated or unsupported.

    where: what the message begins with.
    """
    seen: set[str] = set()
    for name, value in pairs:
        if name not in PARAMETERS:
            raise ValueError(f"{where}{_unknown(name)}")
        if name in seen:
            raise ValueError(f"{where}{name} is there twice")
        seen.add(name)
        if value and (problem := PARAMETERS[name](value)):
            raise ValueError(f"{where}{name}: {problem}")
        if value:
            yield name, value


def consistent(parameters: dict[str, str]) -> dict[str, str]:
    """Return the parameters with what they imply; raise ValueError where two contradict each other."""
    if parameters.pop("ssl", None):
        parameters.setdefault("sslmode", "require")
    mode = parameters.get("sslmode", "prefer")
    if parameters.get("sslrootcert") == "system":
        if parameters.setdefault("sslmode", "verify-full") != "verify-full":
            raise ValueError(f"sslrootcert=system needs sslmode=verify-full, not {mode}")
        mode = "verify-full"
    if parameters.get("sslnegotiation") == "direct" and mode not in ("require", "verify-ca", "verify-full"):
        raise ValueError("sslnegotiation=direct needs sslmode=require or a stricter one")
    if "sslkey" in parameters and "sslcert" not in parameters:
        raise ValueError("sslkey needs the sslcert that it belongs to")
    lowest, highest = (
        parameters.get(f"ssl_{end}_protocol_version", at) for end, at in (("min", "TLSv1"), ("max", "Z"))
    )
    if lowest > highest:
        raise ValueError("ssl_min_protocol_version is above ssl_max_protocol_version")
    return parameters


def _unknown(name: str) -> str:
    hints = {"database": "dbname", "username": "user", "currentschema": "the role's search_path"}
    if re.fullmatch(r"[A-Za-z_]{2,40}", name) is None:
        return "a parameter that libpq does not know"
    hint = hints.get(name.lower())
    instead = f"write {hint}" if hint else "what the role's sessions need is set by ALTER ROLE … SET …"
    return f"{name} is no parameter of libpq: {instead}"
