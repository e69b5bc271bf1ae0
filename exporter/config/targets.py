"""The settings that the targets of all stores have in common."""

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from exporter.config.address import Address
from exporter.config.backup_policy import Format
from exporter.config.documents import KeyPath
from exporter.config.libpq.conninfo import SCHEMES, Conninfo, conninfo, written_parameters
from exporter.config.names import valid_name
from exporter.config.secret_files import HasSecrets, StrictModel, read_file
from exporter.config.thresholds import Limit, Overrides
from exporter.units import Duration

_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED_LABELS = {"target", "store", "le", "quantile", "job", "instance"}
CORE_LABELS = {
    "capability", "check", "edition", "format", "of", "privilege", "query", "reason", "resource", "role", "tier",
    "version",
}  # fmt: skip  # a test compares them with those of the core metrics


class Globs(StrictModel):
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()

    def matches(self, name: str) -> bool:
        """Return whether some glob includes the name and none excludes it."""
        included, excluded = (any(fnmatchcase(name, glob) for glob in globs) for globs in (self.include, self.exclude))
        return included and not excluded


def _off(value: object) -> object:
    """Return "off" for `off` without quotes, which YAML reads as false."""
    return "off" if value is False else value


class TargetBase(HasSecrets, Address):
    """One server. `url` is a secret: it may hold a password, and no page or log shows addresses.

    thresholds: limits of this target that differ from the configuration's.
    checks: checks of /health that do not count for this target, each with the word `off`.
    disable_queries: globs of built-in queries that do not run on this target.
    """

    store: str
    name: str
    required: bool = True
    maintenance: bool = False
    groups: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    interval: Duration | None = None
    thresholds: Overrides = Field(default_factory=dict)
    checks: dict[str, Annotated[Literal["off"], BeforeValidator(_off)]] = Field(default_factory=dict)
    disable_queries: tuple[str, ...] = ()

    holds_data: ClassVar[bool] = True  # of which there should be backups
    backup_formats: ClassVar[tuple[Format, ...]] = ()  # of its backups alone

    @field_validator("name")
    @classmethod
    def _valid_name(cls, value: str) -> str:
        return valid_name(value)

    @field_validator("groups")
    @classmethod
    def _valid_groups(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(valid_name(group) for group in value)

    @field_validator("labels")
    @classmethod
    def _valid_labels(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not _LABEL.fullmatch(name) or name in _RESERVED_LABELS | CORE_LABELS:
                raise ValueError(f"{name!r} cannot be a label of a target: it is taken, or no label name")
        return value

    @field_validator("*")
    @classmethod
    def _readable(cls, value: object) -> object:
        if isinstance(value, Path):
            read_file(value)
        return value

    @cached_property
    def _written(self) -> frozenset[str]:
        url = urlsplit(self.url.get_secret_value())  # the password is a secret both as it is written and as it is sent
        return super()._written.union(value for value in (url.password, unquote(url.password or "")) if value)

    def linked(self, targets: Mapping[str, "TargetBase"]) -> Self:  # noqa: ARG002 - most need none of the others
        """Return the target with what it needs of the others, by name, which may have mistakes."""
        return self

    def link_problems(self, targets: Mapping[str, "TargetBase"]) -> Iterator[tuple[KeyPath, str]]:  # noqa: ARG002 - as above
        """Yield each mistake, with its key below the target's, that a look at several keys or targets shows."""
        return iter(())

    @property
    def links(self) -> Sequence[object]:
        """Return what `linked` found: a change of it is one of how the target is polled."""
        return ()

    @property
    def addresses(self) -> Sequence[SecretStr]:
        """Return where it is: with another address it is another server, whatever its name."""
        return (self.url,)

    @property
    def limits(self) -> Mapping[str, Limit]:
        """Return the limits that are this target's own: its thresholds, and what follows from its other keys."""
        return self.thresholds

    @property
    def protects(self) -> frozenset[str]:
        """Name the targets whose backups are watched here."""
        return frozenset()

    @property
    def own_checks(self) -> Mapping[str, KeyPath]:
        """Return the checks that the target's keys make, by name, and where each is named."""
        return {}


class LibpqTarget(TargetBase):
    """A server whose `url` is a connection string of PostgreSQL: a URL, or `host=… user=…`."""

    password: SecretStr | None = None
    password_file: Path | None = None

    @classmethod
    def schemes(cls) -> tuple[str, ...]:
        return SCHEMES

    @classmethod
    def check_url(cls, text: str) -> None:
        conninfo(text)

    @cached_property
    def conninfo(self) -> Conninfo:
        return conninfo(self.url.get_secret_value())

    @property
    def tls(self) -> bool:
        """Return whether TLS is certain and set up by our keys; the datastores read libpq's other parameters of TLS."""
        return bool(self._tls_keys) or self.conninfo.get("sslrootcert") == "system"

    def _contradiction(self) -> str | None:
        written = dict(written_parameters(self.url.get_secret_value()))
        for name in written:
            if name.startswith("ssl") and name != "sslmode":
                return f"{name} in the URL says the same in another way; keep to one of them"
        mode = "verify-full" if self.verify else "require"
        if written.get("sslmode", mode) != mode:
            return f"they mean sslmode={mode}, the URL says sslmode={written['sslmode']}"
        return None

    @cached_property
    def _written(self) -> frozenset[str]:
        secrets = (self.conninfo.password, self.conninfo.get("sslpassword"))
        return super()._written.union(secret for secret in secrets if secret)
