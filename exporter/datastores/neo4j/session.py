"""What operations use of a session, and the statements that they share; loaded without the driver."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import PageSession
from exporter.queries.query import Row

APP = "datatier-exporter"  # in a transaction's metadata
QUERY_TAG = f"/* {APP} */ "  # before a statement's text, where the server's statistics keep it
NO_PARAMETERS: Mapping[str, object] = MappingProxyType({})

_DATABASES = """
SHOW DATABASES YIELD name, currentStatus
RETURN name, currentStatus AS status
"""

# Our own transactions have our name in their metadata; a status has its details behind a space.
_TRANSACTIONS = """
SHOW TRANSACTIONS
YIELD database, status, startTime, elapsedTime, waitTime, activeLockCount, pageHits, pageFaults,
      estimatedUsedHeapMemory, allocatedDirectBytes, metaData
WHERE coalesce(metaData.app, '') <> $app
RETURN
  database,
  split(status, ' ')[0] AS status,
  count(*) AS transactions,
  min(datetime(startTime).epochMillis) / 1000.0 AS oldest,
  max(elapsedTime.milliseconds) / 1000.0 AS longest,
  sum(CASE WHEN elapsedTime.milliseconds > 1000 THEN 1 ELSE 0 END) AS over_1,
  sum(CASE WHEN elapsedTime.milliseconds > 10000 THEN 1 ELSE 0 END) AS over_10,
  sum(CASE WHEN elapsedTime.milliseconds > 60000 THEN 1 ELSE 0 END) AS over_60,
  sum(CASE WHEN elapsedTime.milliseconds > 300000 THEN 1 ELSE 0 END) AS over_300,
  sum(coalesce(activeLockCount, 0)) AS locks,
  sum(coalesce(waitTime.milliseconds, 0)) / 1000.0 AS wait,
  sum(coalesce(pageHits, 0)) AS page_hits,
  sum(coalesce(pageFaults, 0)) AS page_faults,
  sum(coalesce(estimatedUsedHeapMemory, 0)) AS heap,
  sum(coalesce(allocatedDirectBytes, 0)) AS native
"""

_SETTINGS = """
SHOW SETTINGS YIELD name, value
WHERE name IN $names
RETURN name, value
"""

_SETTING_NAMES = (
    "server.memory.heap.initial_size",
    "server.memory.heap.max_size",
    "server.memory.pagecache.size",
    "dbms.memory.transaction.total.max",
    "db.memory.transaction.total.max",
    "db.memory.transaction.max",
    "server.bolt.thread_pool_max_size",
    "db.checkpoint.interval.time",
    "db.lock.acquisition.timeout",
    "db.transaction.timeout",
)

# Each with its parameters.
PAGES: Mapping[str, tuple[str, Mapping[str, object]]] = MappingProxyType(
    {
        "databases": (_DATABASES, NO_PARAMETERS),
        "settings": (_SETTINGS, {"names": list(_SETTING_NAMES)}),
        "transactions": (_TRANSACTIONS, {"app": APP}),
    }
)


class OperationSession(PageSession, Protocol):
    """The session as operations see it."""

    @property
    def info(self) -> ServerInfo: ...

    async def run(self, text: str, parameters: Mapping[str, object] = NO_PARAMETERS) -> list[Row]:
        """Run a statement in the query's database, within the query's timeout."""

    async def read(self, page: str) -> list[Row]:
        """Return the rows of one of PAGES; the statement runs once in a pass."""
