"""Where PostgreSQL's clients connect to: URLs, `keyword=value` strings, and the environment behind both.

No message repeats more than the name of a parameter: a text split at the wrong place may be part of a password.
"""

import getpass
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from exporter.config.address import NO_URL, PLACE, is_url
from exporter.config.files import read_bounded
from exporter.config.libpq.parameters import PARAMETERS, VARIABLES, checked, consistent

PORT = 5432
SCHEMES = ("postgresql", "postgres")

_SOCKET_FOLDERS = ("/run/postgresql", "/var/run/postgresql", "/tmp")  # noqa: S108 - where servers put their sockets
_PAIR = re.compile(r"\s*([^=\s]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^'\s\\]|\\.)*)(?=\s|$)", re.DOTALL)
_START = re.compile(r"\s*[a-z_]+\s*=")
_NEXT_TARGET = re.compile(r",(?=\s*(?:postgres(?:ql)?://|(?:host|hostaddr|user|dbname|port|service)\s*=))")
_NAMES = frozenset({"host", "hostaddr", "port", "user", "password", "dbname"})  # each has its own place in a URL


@dataclass(frozen=True, slots=True)
class Host:
    """One server to try: `name` is the name in its certificate, or the folder of a Unix socket."""

    name: str
    address: str | None
    port: int

    @property
    def socket(self) -> str | None:
        """Return the path of a Unix socket, None for a host; one that begins with @ is an abstract socket."""
        if self.address is None and self.name.startswith(("/", "@")):
            path = f"{self.name}/.s.PGSQL.{self.port}"
            return "\0" + path[1:] if path.startswith("@") else path
        return None


@dataclass(frozen=True, slots=True)
class Conninfo:
    """Where to connect to and how, every parameter known and its value checked."""

    hosts: tuple[Host, ...]
    user: str
    database: str
    password: str | None
    parameters: Mapping[str, str]  # all others

    @property
    def local(self) -> bool:
        """Return whether all hosts are Unix sockets, to which the parameters of TLS do not apply."""
        return all(host.socket is not None for host in self.hosts)

    def connect_seconds(self, most: float) -> float:
        """Return how long it may take to connect, `most` at most: 0 and less are libpq's words for no limit."""
        wanted = int(self.get("connect_timeout", "0"))
        return min(wanted, most) if wanted > 0 else most

    @property
    def proxy_options(self) -> Mapping[str, str]:
        """Return the options by which a proxy on the way finds the server."""
        return {"options": self.parameters["options"]} if "options" in self.parameters else {}

    def get(self, name: str, default: str = "") -> str:
        """Return the value of one of `parameters`."""
        return self.parameters.get(name, default)


def conninfo(text: str, environment: Mapping[str, str] = os.environ) -> Conninfo:
    """Read a URL or a keyword string; raise ValueError with what is wrong and what would be right."""
    written = dict(checked(written_parameters(text), ""))
    inherited = {
        name: value
        for variable, name in VARIABLES.items()
        if name not in written and (value := environment.get(variable))
        for _ in checked([(name, value)], f"the environment's {variable}: ")
    }
    service = written.get("service") or inherited.get("service")
    served = _of_service(service, {**inherited, **written}, environment) if service else {}
    if "host" in {**served, **written}:  # or one address would stand for all targets, whichever hosts they name
        inherited.pop("hostaddr", None)
    return _assembled({**inherited, **served, **written})


def written_parameters(text: str) -> Sequence[tuple[str, str]]:
    """Return the names and values as they are written, decoded; raise ValueError where the text is neither form."""
    if "\0" in text:
        raise ValueError("there is a NUL in it, which no connection string can have")
    if text.startswith(tuple(f"{scheme}://" for scheme in SCHEMES)):
        return list(_of_url(text))
    if _START.match(text):
        return list(_of_keywords(text))
    raise ValueError("expected a URL that starts with postgresql:// or postgres://, or host=… user=… dbname=…")


def split_targets(text: str) -> Sequence[str]:
    """Split a list of connection strings at commas; those between the hosts of one URL stay."""
    return [part.strip() for part in _NEXT_TARGET.split(text) if part.strip()]


def _of_url(text: str) -> Iterator[tuple[str, str]]:
    if not is_url(text) or (parts := urlsplit(text)).fragment:
        raise ValueError(NO_URL)
    user_part, _, places = parts.netloc.rpartition("@")
    user, _, password = user_part.partition(":")
    pairs = [pair.partition("=") for pair in parts.query.split("&") if pair]
    if any("@" in name + value and name not in _NAMES for name, _, value in pairs):
        raise ValueError(NO_URL)  # the end of a password
    hosts, ports = _hosts_and_ports(places)
    for name, value in (("user", user), ("password", password), ("host", hosts), ("port", ports),
                        ("dbname", parts.path[1:])):  # fmt: skip
        if value:
            yield name, _decoded(value)
    for name, equals, value in pairs:
        if not equals:
            raise ValueError("a parameter in the URL has no =; & and = in a value are written as %26 and %3D")
        yield _decoded(name), _decoded(value)


def _hosts_and_ports(places: str) -> tuple[str, str]:
    found = [PLACE.fullmatch(place) for place in places.split(",")]
    hosts = [match[1].strip("[]") for match in found if match]
    ports = [(match[2] or "")[1:] for match in found if match]
    return ",".join(hosts), ",".join(ports) if any(ports) else ""


def _decoded(text: str) -> str:
    """Decode percent-encoded characters such as %40; a + stays a plus."""
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        decoded = "\0"
    if "\0" in decoded or re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise ValueError("a % in the URL is followed by what is no character; % itself is written as %25")
    return decoded


def _of_keywords(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _PAIR.match(text, at)
        if match is None:
            raise ValueError("expected name=value, name=value …: quote a value with spaces as '…', and \\' in it")
        quoted = match[2].startswith("'")
        yield match[1], re.sub(r"\\(.)", r"\1", match[2][1:-1] if quoted else match[2], flags=re.DOTALL)
        at = match.end()


def _of_service(service: str, known: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Read the parameters of a service from the service file."""
    named = known.get("servicefile")
    file = Path(named) if named else Path(environment.get("HOME", "/")) / ".pg_service.conf"
    if problem := PARAMETERS["sslcert"](str(file)):  # the same rules: a small regular file
        raise ValueError(f"service: {problem}")
    lines = [line.strip() for line in read_bounded(file).decode(errors="replace").splitlines()]
    if f"[{service}]" not in lines:
        raise ValueError(f"service: {file} has no such service")
    pairs = []
    for line in lines[lines.index(f"[{service}]") + 1 :]:
        if line.startswith("["):
            break
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            pairs.append((name.strip(), value.strip()))
    return dict(checked(pairs, f"service: {file}: "))


def _assembled(given: Mapping[str, str]) -> Conninfo:
    user = given.get("user") or _own_name()
    where_and_who = {*_NAMES, "service", "servicefile"}
    return Conninfo(
        hosts=_hosts(given.get("host", ""), given.get("hostaddr", ""), given.get("port", "")),
        user=user,
        database=given.get("dbname") or user,
        password=given.get("password"),
        parameters=consistent({name: value for name, value in given.items() if name not in where_and_who}),
    )


def _own_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have one
        raise ValueError("no user is named, and the system has no name for the one who runs this: write user") from None


def _hosts(names: str, addresses: str, ports: str) -> tuple[Host, ...]:
    listed, known, numbers = (text.split(",") if text else [] for text in (names, addresses, ports))
    if not listed and not known:
        listed = [*_SOCKET_FOLDERS, "localhost"]
        numbers = numbers[:1] * len(listed)
    count = len(listed or known)
    if known and len(known) != count:
        raise ValueError(f"hostaddr: {count} hosts, but {len(known)} addresses")
    if len(numbers) == 1:
        numbers *= count
    if numbers and len(numbers) != count:
        raise ValueError(f"port: {count} hosts, but {len(numbers)} ports")
    return tuple(
        Host(
            name=(listed[at] if listed else known[at]) or "localhost",
            address=(known[at] or None) if known else None,
            port=int(numbers[at] or PORT) if numbers else PORT,
        )
        for at in range(count)
    )
