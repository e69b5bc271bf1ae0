"""The descriptor of PostgreSQL, and how its targets are configured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self
from urllib.parse import quote

from pydantic import HttpUrl, PrivateAttr, field_validator

from exporter.config.address import unread_part
from exporter.config.backup_policy import Format
from exporter.config.expectations import Expectations
from exporter.config.libpq.conninfo import split_targets
from exporter.config.secret_files import read_file
from exporter.config.stores.backups import wal_interval
from exporter.config.stores.store import Store
from exporter.config.targets import Globs, LibpqTarget, TargetBase
from exporter.config.thresholds import Limit
from exporter.errors import ConfigError
from exporter.units import Bytes

_ADDRESS = "DATA_SOURCE_URI"


class PostgresTarget(LibpqTarget):
    store: Literal["postgres"]
    databases: Globs = Globs(exclude=("rdsadmin", "azure_maintenance", "azure_sys", "cloudsqladmin"))
    via_pgbouncer: bool = False
    patroni: HttpUrl | None = None
    disk_size: Bytes | None = None
    sample_activity: bool = False
    statement_texts: bool = False
    expect: Expectations = Expectations()
    _wal_interval: float | None = PrivateAttr(default=None)

    backup_formats: ClassVar[tuple[Format, ...]] = (
        "pg_dump",
        "sql",
        "basebackup",
        "pgbackrest",
        "wal-g",
        "barman",
        "wal",
    )

    @property
    def wal_interval(self) -> float | None:
        """Return how many seconds of changes its archive of WAL may lack, where a place of backups has one."""
        return self._wal_interval

    def linked(self, targets: Mapping[str, TargetBase]) -> Self:
        return self.with_private(_wal_interval=wal_interval(self.name, targets.values()))

    @property
    def limits(self) -> Mapping[str, Limit]:
        if self.wal_interval is None:
            return self.thresholds
        return {"unarchived_seconds": Limit(warn=self.wal_interval, fail=2 * self.wal_interval), **self.thresholds}

    @property
    def links(self) -> Sequence[object]:
        return (self.wal_interval,)

    @field_validator("patroni")
    @classmethod
    def _no_unread_part(cls, value: HttpUrl | None) -> HttpUrl | None:
        if value and (part := unread_part(str(value), ("user", "path"))):
            raise ValueError(f"the URL has a {part}, which nobody reads: write scheme, host, port and a proxy's path")
        return value


def _urls(environment: Mapping[str, str], text: str) -> Sequence[str]:
    """Return the servers that postgres_exporter's variables name: several URLs, or one address with its user apart."""
    if not text and (address := _own_or_file(environment, _ADDRESS)):
        text = f"postgresql://{_login(environment)}{address}"
    return split_targets(text)


def _login(environment: Mapping[str, str]) -> str:
    """Return what goes before host:port/database: the user, whom postgres_exporter has in another variable."""
    user = _own_or_file(environment, "DATA_SOURCE_USER")
    return f"{quote(user, safe='')}@" if user else ""


def _own_or_file(environment: Mapping[str, str], name: str) -> str | None:
    """Return a variable, or the text of the file that NAME_FILE names; raise ConfigError where that cannot be read."""
    file = environment.get(f"{name}_FILE")
    if environment.get(name) or not file:
        return environment.get(name)
    try:
        return read_file(Path(file))
    except ValueError as error:
        raise ConfigError([f"environment: {name}_FILE: {error}"]) from None


STORE = Store(
    name="postgres",
    package="exporter.datastores.postgres",
    target=PostgresTarget,
    variables={
        "url": ("POSTGRES_URL", "DATA_SOURCE_NAME"),
        "password": ("POSTGRES_PASSWORD", "DATA_SOURCE_PASS", "PGPASSWORD"),
        "password_file": ("POSTGRES_PASSWORD_FILE", "DATA_SOURCE_PASS_FILE"),
    },
    urls=_urls,
    address_variable=_ADDRESS,
    up="pg_up",
    prefixes=("pg_",),
    dashboard="postgres",
    database_label="datname",
    keeps_sessions=True,
)
