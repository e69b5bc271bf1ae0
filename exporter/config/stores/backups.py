"""The descriptor of places where backups lie, and how they are configured."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from exporter.config.backup_policy import BackupSet
from exporter.config.stores.store import Store
from exporter.config.targets import TargetBase


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
    marker: str | None = None
    sets: tuple[BackupSet, ...] = Field(min_length=1)

    url_parts = ("path",)
    url_advice = (
        "write a folder as file:///backups, a bucket as s3://TARGET/bucket/prefix or https://host/bucket/prefix"
    )

    @classmethod
    def schemes(cls) -> tuple[str, ...]:
        return ("file", "s3", "http", "https")


STORE = Store(
    name="backups",
    package="exporter.datastores.backups",
    target=BackupsTarget,
    variables={},
    up="backups_up",
    prefixes=(),
    dashboard="backups",
)
