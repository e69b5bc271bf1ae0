"""Try a login that a server refused only after a pause, for all targets: three tries lock a Neo4j user out."""

import asyncio
import hashlib
import ipaddress
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from types import MappingProxyType
from typing import Self
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from exporter.config.stores import STORES, Target
from exporter.config.targets import LibpqTarget
from exporter.datastores.base import Datastore, Lane, Session
from exporter.errors import QueryError, Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.query import Query, Row

PAUSE = 60.0

_RESOLVE_SECONDS = 2.0
_HTTP_PORTS: Mapping[str, int] = MappingProxyType({"http": 80, "https": 443})

Key = tuple[str, int, str, str]  # address, port, the name that TLS or HTTP sends, a digest of the user and the secrets


class Logins:
    """Remember for all targets which login was refused where: after one refusal there is a pause."""

    def __init__(self) -> None:
        self._until: dict[Key, float] = {}
        self._turns: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    @property
    def quiet(self) -> bool:
        """Return whether no login was refused lately."""
        return not self._until

    def guarded(self, target: Target, datastore: Datastore) -> Datastore:
        return _GuardedDatastore(self, target, datastore)

    def turn(self, key: Key) -> asyncio.Lock:
        """Return the lock that lets one target at a time find out whether a login is good."""
        return self._turns.setdefault(key, asyncio.Lock())

    def check(self, keys: Sequence[Key]) -> None:
        """Raise QueryError where one of these logins was refused less than a pause ago."""
        now = time.monotonic()
        self._until = {key: until for key, until in self._until.items() if until > now}
        if any(key in self._until for key in keys):
            raise QueryError("auth", "not tried: the same login was refused to a target of this server a moment ago")

    def refuse(self, keys: Sequence[Key]) -> None:
        self._until |= dict.fromkeys(keys, time.monotonic() + PAUSE)

    def accept(self, keys: Sequence[Key]) -> None:
        for key in keys:
            self._until.pop(key, None)


class _GuardedDatastore:
    """A datastore whose pings take turns until one succeeds, and pause while its login is known to be refused."""

    def __init__(self, logins: Logins, target: Target, datastore: Datastore) -> None:
        self._logins, self._datastore, self._store = logins, datastore, STORES[target.store]
        self._keys = LoginKeys(target)
        self._proven = False

    @property
    def clock_skew(self) -> float | None:
        return self._datastore.clock_skew

    async def __aenter__(self) -> Self:
        await self._datastore.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._datastore.__aexit__(*exc_info)

    async def ping(self) -> ServerInfo:
        proven, self._proven = self._proven, False  # unless this one succeeds
        async with AsyncExitStack() as turns:
            if not proven:
                await self._keys.resolve()
                for key in self._keys.now():
                    await turns.enter_async_context(self._logins.turn(key))
            with self.watching(check=not proven or not self._store.keeps_sessions):
                info = await self._datastore.ping()
        if not self._logins.quiet:
            self._logins.accept(self._keys.now())
        self._proven = True
        return info

    async def databases(self) -> Sequence[str]:
        return await self._datastore.databases()

    @asynccontextmanager
    async def session(self, lane: Lane) -> AsyncIterator[Session]:
        async with self._datastore.session(lane) as session:
            yield _Session(self, session) if self._store.locks_users else session

    def reason(self, error: BaseException) -> Reason:
        return self._datastore.reason(error)

    @contextmanager
    def watching(self, *, check: bool = True) -> Iterator[None]:
        """Notice a refusal in a block that may log in; with `check`, raise where the login is known to be refused."""
        if check and not self._logins.quiet:
            self._logins.check(self._keys.now())
        try:
            yield
        except Exception as error:
            if self.reason(error) == "auth":
                self._proven = False
                self._logins.refuse(self._keys.now())
            raise


class _Session:
    def __init__(self, guarded: _GuardedDatastore, session: Session) -> None:
        self._guarded, self._session = guarded, session

    async def fetch(self, query: Query, database: str | None = None) -> Sequence[Row]:
        with self._guarded.watching():
            return await self._session.fetch(query, database)


class LoginKeys:
    """The keys of a target's logins: where, and as which user; two names of one server are one place.

    With TLS or HTTP the name is a part of the place: one address may serve many names.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._places: tuple[tuple[str, int, str], ...] = ()

    async def resolve(self) -> None:
        """Look up the addresses; a name that cannot be resolved now takes the place of its address."""
        places = {
            (address, port, name) for host, port, name in _places(self._target) for address in await _addresses(host)
        }
        self._places = tuple(sorted(places))

    def now(self) -> Sequence[Key]:
        """Return the places, each with a digest of the user and the present secrets."""
        user, password = _in_url(self._target)
        secrets = {*self._target.present_secrets(), password or ""} - {""}
        identity = repr((self._target.store, user, sorted(secrets)))
        digest = hashlib.sha256(identity.encode()).hexdigest()
        return [(*place, digest) for place in self._places]


def _places(target: Target) -> Sequence[tuple[str, int, str]]:
    """Return host, port, and the name that TLS or HTTP sends, of each server in the target's URL."""
    if isinstance(target, LibpqTarget):
        certain = target.tls or target.conninfo.get("sslmode") in ("require", "verify-ca", "verify-full")
        return [
            (host.socket or host.address or host.name, host.port, host.name if certain else "")
            for host in target.conninfo.hosts
        ]
    parts = urlsplit(target.url.get_secret_value())
    host = parts.hostname or ""
    http_port = _HTTP_PORTS.get(parts.scheme)
    port = parts.port or http_port or STORES[target.store].port
    return [(host, port, host if target.tls or http_port else "")]


async def _addresses(host: str) -> Sequence[str]:
    if host.startswith(("/", "\0")):  # a Unix socket
        return [host]
    with suppress(ValueError):
        return [_plain(host)]
    try:
        async with asyncio.timeout(_RESOLVE_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return [host]
    return sorted({_plain(str(address[0])) for *_, address in found})


def _plain(address: str) -> str:
    """Return an IPv4 address that is mapped into IPv6 as IPv4."""
    mapped = ipaddress.ip_address(address.partition("%")[0])
    return str(getattr(mapped, "ipv4_mapped", None) or mapped)


def _in_url(target: Target) -> tuple[str, str | None]:
    """Return the user and the password that the URL may hold, or the user of the key beside it."""
    if isinstance(target, LibpqTarget):
        return target.conninfo.user, target.conninfo.password
    return getattr(target, "user", ""), None
