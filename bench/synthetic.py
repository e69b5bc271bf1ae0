"""The exporter with PostgreSQL's client replaced by one that makes rows up, to be started as a process of its own.

Everything else is the product: configuration, query files, poller, snapshot, exposition, HTTP. A target answers ten
queries of 20 rows with five metrics each, a thousand series, and makes its rows anew at every poll, as a driver does.
"""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

from exporter import cli
from exporter.errors import Reason
from exporter.queries import loader
from exporter.queries.conditions import ServerInfo
from exporter.queries.query import Query, Row
from tests.support.exporter_process import Exporter

QUERIES, ROWS, COLUMNS = 10, 20, 5
SERIES = QUERIES * ROWS * COLUMNS  # of one target
_FOLDER = "SYNTHETIC_QUERIES"


class Synthetic(Exporter):
    """Run the exporter on so many made-up targets."""

    def __init__(self, targets: int, interval: float) -> None:
        names = [f"target-{number:04}" for number in range(targets)]
        entries = [{"name": name, "store": "postgres", "url": "postgresql://nobody@127.0.0.1/none"} for name in names]
        super().__init__(entries, interval=f"{interval:g}s")
        self._queries = self.config.parent / "queries"
        _write_queries(self._queries / "postgres")

    def wait_started(self) -> None:
        """Wait until every target was polled once."""
        self.wait(lambda: self.get("/startupz").status == HTTPStatus.OK, "every target's first poll", 120)

    def command(self, *arguments: str) -> list[str]:
        own = ["env", f"{_FOLDER}={self._queries}", sys.executable, "-m", "bench.synthetic"]
        return [*own, *arguments, "--config", str(self.config)]


def _write_queries(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number in range(QUERIES):
        metrics = "\n".join(
            f'  pg_synthetic_{number}_reads_{column}_total: {{type: counter, help: "Made up.", value: c{column}}}'
            for column in range(COLUMNS)
        )
        text = f"query: SELECT 1\nlabels: [datname, relname]\nmetrics:\n{metrics}\n"
        (folder / f"synthetic_{number}.yaml").write_text(text)


class _Store:
    """Answer every query at once; the values are counters that grow."""

    def __init__(self, name: str) -> None:
        chance = random.Random(name)
        names = [f"table_{number}" for number in range(ROWS)]
        self._rows = [(name, float(chance.randrange(10**9)), chance.uniform(0, 1e6)) for name in names]
        self._polls = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def ping(self) -> ServerInfo:
        await asyncio.sleep(0)
        self._polls += 1
        return ServerInfo(version="18.0", role="primary", started_at=1.7e9)

    async def databases(self) -> Sequence[str]:
        return ()

    @asynccontextmanager
    async def session(self, _: str) -> AsyncIterator[Self]:
        yield self

    async def fetch(self, _: Query, __: str | None = None) -> Sequence[Row]:
        await asyncio.sleep(0)
        n = self._polls
        return [
            {"datname": "app", "relname": name, "c0": x, "c1": x + n, "c2": n, "c3": y, "c4": y + n}
            for name, x, y in self._rows
        ]

    def reason(self, _: BaseException) -> Reason:
        return "query"


def open_datastore(target: Any) -> _Store:
    return _Store(target.name)


if __name__ == "__main__":
    loader.builtin_folder = lambda: Path(os.environ[_FOLDER])
    sys.modules["exporter.datastores.postgres.datastore"] = sys.modules[__name__]
    sys.exit(cli.main())
