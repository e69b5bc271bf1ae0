"""The descriptor of MinIO and any S3 server, and how its targets are configured."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from exporter.config.stores.store import Store
from exporter.config.targets import TargetBase


class MinioTarget(TargetBase):
    store: Literal["minio"]
    access_key: SecretStr | None = None
    access_key_file: Path | None = None
    secret_key: SecretStr | None = None
    secret_key_file: Path | None = None
    region: str = Field(default="us-east-1", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")

    url_advice = "write scheme, host and port alone; the keys are access_key and secret_key, and S3 signs whole paths"


STORE = Store(
    name="minio",
    package="exporter.datastores.minio",
    target=MinioTarget,
    variables={
        "url": ("MINIO_URL",),
        "access_key": ("MINIO_ACCESS_KEY", "MINIO_ROOT_USER"),
        "access_key_file": ("MINIO_ACCESS_KEY_FILE",),
        "secret_key": ("MINIO_SECRET_KEY", "MINIO_ROOT_PASSWORD"),
        "secret_key_file": ("MINIO_SECRET_KEY_FILE",),
    },
    up="minio_up",
    prefixes=("minio_", "s3_"),
    dashboard="minio",
)
