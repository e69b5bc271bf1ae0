"""The descriptor of Qdrant, and how its targets are configured."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from exporter.config.backup_policy import BackupPolicy, Format
from exporter.config.backup_rules import Problem, policy_problems
from exporter.config.stores.store import Store
from exporter.config.targets import TargetBase
from exporter.units import Bytes


class SnapshotPolicy(BackupPolicy):
    """What is expected of the snapshots that Qdrant itself lists, of each collection that a glob names."""

    collections: tuple[Annotated[str, Field(min_length=1)], ...] = ("*",)

    @field_validator("collections")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError('expected at least one glob; of all collections, leave the key out or write ["*"]')
        return value

    @field_validator("duration")
    @classmethod
    def _not_told(cls, _: object) -> None:
        raise ValueError("Qdrant does not tell how long a snapshot took")


class QdrantTarget(TargetBase):
    store: Literal["qdrant"]
    disk_size: Bytes | None = None
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    snapshots: SnapshotPolicy | None = None

    backup_formats: ClassVar[tuple[Format, ...]] = ("qdrant",)
    url_parts = ("user", "path")  # of a proxy in front: Basic authentication, and what it puts before each path
    url_advice = "write scheme, host, port and a proxy's path"

    def link_problems(self, targets: Mapping[str, TargetBase]) -> Iterator[Problem]:
        yield from super().link_problems(targets)
        for key, problem in policy_problems(self.snapshots) if self.snapshots is not None else ():
            yield ("snapshots", *key), problem

    @property
    def protects(self) -> frozenset[str]:
        return frozenset({self.name} if self.snapshots is not None else ())


STORE = Store(
    name="qdrant",
    package="exporter.datastores.qdrant",
    target=QdrantTarget,
    variables={
        "url": ("QDRANT_URL",),
        "api_key": ("QDRANT_API_KEY",),
        "api_key_file": ("QDRANT_API_KEY_FILE",),
    },
    up="qdrant_up",
    prefixes=("qdrant_",),
    dashboard="qdrant",
)
