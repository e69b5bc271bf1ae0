"""A service whose files change."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from exporter.config.config import Config
from exporter.errors import ConfigError
from exporter.queries.query import Query
from exporter.service import Service
from exporter.settings import RuntimeConfig
from tests.support.factories import query
from tests.support.waiting import until

SIZES = query("sizes", timeout="5s")


def target(name: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "store": "postgres", "url": "postgresql://u@h/db", "interval": "50ms", **settings}


class Files:
    """Stand for the files on disk; `broken` are the problems that the next reader finds."""

    def __init__(self, *targets: dict[str, Any], queries: tuple[Query, ...] = (SIZES,)) -> None:
        self.broken: list[str] = []
        self.reads = 0
        self.write(*targets, queries=queries)

    def write(self, *targets: dict[str, Any], queries: tuple[Query, ...] = (SIZES,), **changes: Any) -> None:
        self.settings = RuntimeConfig(Config.model_validate({"targets": targets, **changes}), queries)

    def load(self) -> RuntimeConfig:
        self.reads += 1
        if self.broken:
            raise ConfigError(self.broken)
        return self.settings


@asynccontextmanager
async def run(files: Files) -> AsyncIterator[Service]:
    """Run a service until each of its targets was polled."""
    service = Service(files.settings, files.load)
    async with service.running():
        await polled(service)
        yield service


async def polled(service: Service) -> None:
    """Wait until each target has been polled, and its sizes are known."""
    snapshot = service.snapshot
    await until(lambda: all(snapshot.status[name].polls and snapshot.results[name] for name in snapshot.targets))


def page(service: Service) -> str:
    return b"".join(service.exposition.page("text", service.now()).blocks()).decode()
