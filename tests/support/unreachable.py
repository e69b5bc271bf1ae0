"""Targets that this machine cannot reach."""

from typing import Any

from testkit.process import free_port

GROUP: dict[str, Any] = {"readyz": {"require": ["data"]}}


def targets(host: str) -> list[dict[str, Any]]:
    """Name a server of each store, none of which is there."""
    own: dict[str, dict[str, Any]] = {
        "postgres": {"url": f"postgresql://monitor@{host}:{free_port()}/postgres"},
        "qdrant": {"url": f"http://{host}:{free_port()}"},
        "neo4j": {"url": f"bolt://{host}:{free_port()}", "password": "something"},
        "minio": {"url": f"http://{host}:{free_port()}", "access_key": "somebody", "secret_key": "something"},
    }
    return [{"name": store, "store": store, "groups": ["data"], **settings} for store, settings in own.items()]
