"""The descriptor of Qdrant, and how its targets are configured."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from exporter.config.backup_policy import BackupPolicy
from exporter.config.stores.store import Store
from exporter.config.targets import TargetBase
from exporter.units import Bytes


class SnapshotPolicy(BackupPolicy):
    """What is expected of the snapshots that Qdrant itself lists, of each collection that a glob names."""

    collections: tuple[str, ...] = Field(default=("*",), min_length=1)

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

    url_parts = ("user", "path")  # of a proxy in front: Basic authentication, and what it puts before each path
    url_advice = "write scheme, host, port and a proxy's path"

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
