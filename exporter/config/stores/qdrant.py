"""The descriptor of Qdrant, and how its targets are configured."""

from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from exporter.config.stores.store import Store
from exporter.config.targets import TargetBase
from exporter.units import Bytes


class QdrantTarget(TargetBase):
    store: Literal["qdrant"]
    disk_size: Bytes | None = None
    api_key: SecretStr | None = None
    api_key_file: Path | None = None

    url_parts = ("user", "path")  # of a proxy in front: Basic authentication, and what it puts before each path
    url_advice = "write scheme, host, port and a proxy's path"


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
