"""What a user expects of a PostgreSQL server; what differs is drift.

Tables, indexes and extensions are named `[database:][schema.]name`, as in the catalogue. Without a database, that of
the target's URL is meant; without a schema, any.
"""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StrictInt, StringConstraints, model_validator

from exporter.config.secret_files import StrictModel
from exporter.units import Duration
from exporter.versions import version_satisfies


def _setting_value(value: object) -> str:
    """Return the text that the server's configuration file would have: YAML has parsed on, 4 and lists."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(_setting_value(item) for item in value)
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError(f"{value!r} is not the value of a setting; write it in quotes")


def _minimum_version(value: object) -> str:
    """Return the condition on the version; "1.9" alone means this version or a later one."""
    if not isinstance(value, str):
        raise ValueError(f'write the version in quotes, as "{value}": without them 1.10 is 1.1')  # noqa: TRY004 - pydantic's errors are ValueErrors
    condition = f">={value}" if value[:1].isdigit() else value
    version_satisfies("0", condition)
    return condition


SettingValue = Annotated[str, BeforeValidator(_setting_value)]
MinimumVersion = Annotated[str, BeforeValidator(_minimum_version)]
ObjectName = Annotated[str, StringConstraints(min_length=1)]


class Partitioning(StrictModel):
    """How far ahead of now the partitions of a table reach, and how long they are kept, in seconds."""

    ahead: Duration | None = None
    retention: Duration | None = None


class SchemaVersion(StrictModel):
    """The version that a migration tool records: the value is in the column of some row of the table."""

    table: ObjectName
    column: ObjectName
    value: str


class Expectations(StrictModel):
    """What is expected of the server; what is left out is not checked."""

    role: Literal["primary", "replica"] | None = None
    settings: dict[ObjectName, SettingValue] = Field(default_factory=dict)
    extensions: dict[ObjectName, MinimumVersion] = Field(default_factory=dict)
    tables: tuple[ObjectName, ...] = ()
    indexes: tuple[ObjectName, ...] = ()
    partitioned_tables: dict[ObjectName, Partitioning] = Field(default_factory=dict)
    row_level_security: tuple[ObjectName, ...] = ()
    replicas: Annotated[StrictInt, Field(ge=1)] | None = None
    schema_version: SchemaVersion | None = None

    @model_validator(mode="after")
    def _replicas_are_those_of_a_primary(self) -> Self:
        if self.role == "replica" and self.replicas is not None:
            raise ValueError("replicas are expected of a primary, and role: replica is expected here")
        return self
