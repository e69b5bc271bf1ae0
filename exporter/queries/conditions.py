"""What a ping reports of a server, and the conditions on it under which a query runs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, field_validator

from exporter.versions import version_satisfies

_NOTHING: Mapping[str, str] = MappingProxyType({})
_EXTENSION = re.compile(r"^\s*([a-z0-9_-]+)\s*(.*)$")
_LONGEST = 200  # characters: real versions, roles and editions have a few dozen
_RESTART = 5.0  # seconds: some stores report how long they have run, which is not exact


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Describe a server as its last successful ping saw it.

    capabilities: name to reason; an empty reason means available.
    missing_privileges: name to the statement that grants it.
    extensions: name to version, in the database the exporter logs in to.
    started_at: Unix time in seconds.
    identity: differs between servers, and between two starts of one server; empty where it is unknown.
    unserved: the database without which the server is of no use, and its status, as in "neo4j: offline"; else empty.
    tls_not_after: when the certificate that it showed expires, as Unix time; None without TLS.
    """

    version: str
    role: str = ""
    edition: str = ""
    started_at: float | None = None
    identity: str = ""
    capabilities: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    missing_privileges: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    extensions: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    tls_not_after: float | None = None
    unserved: str = ""

    def __post_init__(self) -> None:
        """Cut what becomes labels, whatever the server reported."""
        for name in ("version", "role", "edition", "unserved"):
            object.__setattr__(self, name, getattr(self, name)[:_LONGEST])


def same_server(before: ServerInfo, now: ServerInfo) -> bool:
    """Return whether facts of the first still hold for the second: not after a restart, a promotion or a grant."""
    return _facts(before) == _facts(now) and abs((before.started_at or 0.0) - (now.started_at or 0.0)) < _RESTART


def _facts(info: ServerInfo) -> tuple[object, ...]:
    able = {name for name, reason in info.capabilities.items() if not reason}
    return (
        info.identity,
        info.version,
        info.edition,
        info.role,
        able,
        set(info.missing_privileges),
        dict(info.extensions),
    )


class Conditions(BaseModel):
    """Restrict a query to the servers that can answer it; it makes no series of the others.

    configured: a setting of the target, such as "expect.tables"; without it the query does not run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: str | None = None
    role: str | None = None
    edition: str | None = None
    extension: str | None = None
    capability: str | None = None
    configured: str | None = None

    @field_validator("version")
    @classmethod
    def _valid_specifier(cls, value: str | None) -> str | None:
        if value is not None:
            version_satisfies("0", value)
        return value

    @field_validator("extension")
    @classmethod
    def _valid_extension(cls, value: str | None) -> str | None:
        if value is not None:
            match = _EXTENSION.match(value)
            if match is None:
                raise ValueError(f"{value!r} is not an extension such as 'pgstattuple>=1.5'")
            if match[2]:
                version_satisfies("0", match[2])
        return value

    def wanted(self, target: object) -> bool:
        """Return whether the target's configuration asks for the query."""
        for name in self.configured.split(".") if self.configured else ():
            target = getattr(target, name, None)
        return bool(target)

    def unmet(self, info: ServerInfo) -> str | None:
        """Name the first condition the server does not meet; extensions are left to `extension_unmet`."""
        if self.version and not version_satisfies(info.version, self.version):
            return f"needs version {self.version}"
        if self.role and self.role != info.role:
            return f"needs role {self.role}"
        if self.edition and self.edition != info.edition:
            return f"needs edition {self.edition}"
        if self.capability and info.capabilities.get(self.capability) != "":
            return info.capabilities.get(self.capability) or f"needs capability {self.capability}"
        return None

    def extension_unmet(self, installed: Mapping[str, str]) -> str | None:
        """Name the extension condition that the installed ones (name to version) do not meet."""
        match = _EXTENSION.match(self.extension or "")
        if match is None:
            return None
        version = installed.get(match[1])
        if version is not None and (not match[2] or version_satisfies(version, match[2])):
            return None
        return f"needs extension {self.extension}"
