"""The descriptor of places where backups lie, and how they are configured."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import Field, PrivateAttr, SecretStr, field_validator

from exporter.config.backup_address import ADVICE, PlaceAddress, place_address
from exporter.config.backup_files import File
from exporter.config.backup_links import Known, listed, sets_problems
from exporter.config.backup_policy import BackupSet
from exporter.config.backup_rules import Problem
from exporter.config.documents import KeyPath
from exporter.config.stores.minio import MinioTarget
from exporter.config.stores.store import Store
from exporter.config.targets import TargetBase

# What a place shares with the target that it asks, where its URL names a host: how to log in, and TLS.
_OF_SERVER = (
    "access_key", "access_key_file", "secret_key", "secret_key_file", "region",
    "ca_file", "cert_file", "key_file", "server_name", "verify",
)  # fmt: skip


_LOGIN = ("access_key", "secret_key")
_MOST_SETS = 100  # each is a check, and a query has 200 at most


class OriginalSet(NamedTuple):
    """The set that another is a copy of, and its place."""

    place: "BackupsTarget"
    chosen: BackupSet


class OriginalBucket(NamedTuple):
    """The bucket that a set is a copy of, and its server."""

    server: MinioTarget
    bucket: str


Original = OriginalSet | OriginalBucket


class BackupsTarget(TargetBase):
    """A place: a folder (file:///backups), a bucket of another target (s3://NAME/bucket/prefix), any bucket (https://).

    timezone: that of times in file names and headers without one; without it the exporter's own.
    marker: a file of the place that shows that it is mounted.
    """

    store: Literal["backups"]
    access_key: SecretStr | None = None
    access_key_file: Path | None = None
    secret_key: SecretStr | None = None
    secret_key_file: Path | None = None
    region: str = Field(default="us-east-1", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")
    timezone: str | None = None
    marker: File | None = None
    sets: tuple[BackupSet, ...]
    _server: MinioTarget | None = PrivateAttr(default=None)
    _originals: Mapping[str, Original] = PrivateAttr(default_factory=dict)

    url_parts = ("path",)
    url_advice = ADVICE
    holds_data = False

    @classmethod
    def schemes(cls) -> tuple[str, ...]:
        return ("file", "s3", "http", "https")

    @classmethod
    def check_url(cls, text: str) -> None:
        if not text.startswith("file://"):  # a folder's name may have what elsewhere is part of a password
            super().check_url(text)
        place_address(text)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        try:
            return value if value is None else ZoneInfo(value).key
        except (LookupError, ValueError, OSError):
            raise ValueError("no such time zone on this machine; they are named like Europe/Berlin or UTC") from None

    @field_validator("sets")
    @classmethod
    def _some(cls, value: tuple[BackupSet, ...]) -> tuple[BackupSet, ...]:
        if not value:
            raise ValueError("expected at least one set: what lies there")
        if len(value) > _MOST_SETS:
            raise ValueError(f"expected {_MOST_SETS} sets at most: describe the others as a second place")
        return value

    @cached_property
    def _address(self) -> PlaceAddress:
        return place_address(self.url.get_secret_value())

    @property
    def folder(self) -> Path | None:
        """Return the folder; None where the place is a bucket."""
        return self._address.folder

    @property
    def bucket(self) -> str:
        return self._address.bucket

    @property
    def prefix(self) -> str:
        """Return how the names of the place's objects begin, with a slash at its end, or empty."""
        return self._address.prefix

    @cached_property
    def zone(self) -> ZoneInfo | None:
        return ZoneInfo(self.timezone) if self.timezone is not None else None

    @property
    def server(self) -> MinioTarget | None:
        """Return the server of the bucket, with its URL, keys and TLS: another target, or one made of these keys.

        None of a folder, and before `linked`.
        """
        return self._server

    @property
    def originals(self) -> Mapping[str, Original]:
        """Return what each set with `copy_of` is a copy of, by the set's name."""
        return self._originals

    @property
    def addresses(self) -> Sequence[SecretStr]:
        return (self.url, *(server.addresses if (server := self.server) is not None else ()))

    @property
    def protects(self) -> frozenset[str]:
        return frozenset(one.of for one in self.sets)

    @property
    def own_checks(self) -> Mapping[str, KeyPath]:
        return {one.name: ("sets", index, "name") for index, one in enumerate(self.sets)}

    def linked(self, targets: Mapping[str, TargetBase]) -> Self:
        asked = {one.copy_of.partition("/")[0] for one in self.sets if one.copy_of is not None}
        # Their own copies do not matter, and could lead back here.
        known = {
            name: target.with_server(targets) if isinstance(target, BackupsTarget) else target
            for name, target in targets.items()
            if name in asked
        }
        copies = ((one.name, _original(one.copy_of, known)) for one in self.sets if one.copy_of is not None)
        found = {name: original for name, original in copies if original is not None}
        return self.with_server(targets).with_private(_originals=found)

    def with_server(self, targets: Mapping[str, TargetBase]) -> Self:
        """Return the place with its server alone."""
        server = targets.get(self._address.server)
        if self._address.endpoint:
            # Its values have been checked as ours: to read the files of secrets again could fail by now.
            keys = {key: getattr(self, key) for key in _OF_SERVER if key in self.model_fields_set}
            url = SecretStr(self._address.endpoint)
            server = MinioTarget.model_construct(store="minio", name=self.name, url=url, **keys)
        return self.with_private(_server=server) if isinstance(server, MinioTarget) else self

    def link_problems(self, targets: Mapping[str, TargetBase]) -> Iterator[Problem]:
        yield from self._unread_keys()
        yield from self._half_a_login()
        server, stores = self._address.server, {name: target.store for name, target in targets.items()}
        buckets = [name for name, target in targets.items() if isinstance(target, MinioTarget)]
        if server and server not in buckets:
            yield ("url",), f"after s3:// comes the name of a target of minio: {listed(buckets)}"
        formats = {name: target.backup_formats for name, target in targets.items() if target.holds_data}
        sets = {name: target.sets for name, target in targets.items() if isinstance(target, BackupsTarget)}
        yield from sets_problems(self.name, Known(stores, formats, buckets, sets))

    def _unread_keys(self) -> Iterator[Problem]:
        """Yield the keys for a server that is not this place's to configure."""
        if self._address.endpoint:
            return
        why = f"{self._address.server!r} has its own" if self._address.server else "a folder has no server"
        for key in _OF_SERVER:
            if key in self.model_fields_set:
                yield (key,), f"nobody reads it: {why}"

    def _half_a_login(self) -> Iterator[Problem]:
        there = [
            name for name in _LOGIN if getattr(self, name) is not None or getattr(self, f"{name}_file") is not None
        ]
        if self._address.endpoint and len(there) == 1:
            yield (), f"{there[0]} alone is no login: {' and '.join(_LOGIN)} belong together"

    @property
    def links(self) -> Sequence[object]:
        return (self._server, *(part for original in self._originals.values() for part in original))

    def secrets(self) -> set[str]:
        """Return also the secrets of the servers it asks: they may be targets that another process polls."""
        links = {id(link): link for link in self.links if isinstance(link, TargetBase)}
        return super().secrets().union(*(link.secrets() for link in links.values()))


def _original(name: str, targets: Mapping[str, TargetBase]) -> Original | None:
    """Find what a set is a copy of."""
    target_name, _, part = name.partition("/")
    target = targets.get(target_name)
    if isinstance(target, MinioTarget):
        return OriginalBucket(target, part)
    if isinstance(target, BackupsTarget):
        return next((OriginalSet(target, one) for one in target.sets if one.name == part), None)
    return None


def wal_interval(name: str, targets: Iterable[TargetBase]) -> float | None:
    """Return the age above which the archive of a target's WAL is too old; of several archives the least."""
    sets = (one for target in targets if isinstance(target, BackupsTarget) for one in target.sets)
    return min((one.warn_seconds for one in sets if one.of == name and one.format == "wal"), default=None)


STORE = Store(
    name="backups",
    package="exporter.datastores.backups",
    target=BackupsTarget,
    variables={},
    up="backups_up",
    prefixes=(),
    dashboard="backups",
)
