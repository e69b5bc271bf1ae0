"""The sampler's lane: the steps of operations that look more often than their query is due, such as once a second."""

import asyncio
import time
from collections.abc import Sequence

from exporter.datastores.base import Datastore, Session
from exporter.errors import QueryError
from exporter.polling.execution import open_session, within_deadline
from exporter.queries.query import Query
from exporter.state.events import MonitoredTarget


class SamplerLane:
    """Take the steps of a target's queries while it is up.

    errors: of the queries whose last step failed; until a step succeeds, the query fails with that error.
    """

    def __init__(
        self, target: MonitoredTarget, datastore: Datastore, queries: Sequence[Query], up: asyncio.Event
    ) -> None:
        self.queries = [query for query in queries if query.step_every is not None]
        self.errors: dict[str, QueryError] = {}
        self._interval = target.interval
        self._datastore = datastore
        self._up = up

    async def run(self) -> None:
        """Take steps until cancelled; after a failure, wait for a poll's interval: a server may refuse logins."""
        next_at = dict.fromkeys((query.name for query in self.queries), 0.0)
        while True:
            await self._up.wait()
            now = time.monotonic()
            due = [query for query in self.queries if next_at[query.name] <= now]
            next_at |= {query.name: now + (query.step_every or 0.0) for query in due}
            try:
                async with open_session(self._datastore, "sampler") as session:
                    for query in due:
                        await self._step(session, query)
            except QueryError as error:
                self.errors |= {query.name: error for query in due}
            pause = self._interval if self.errors else min(next_at.values()) - time.monotonic()
            await asyncio.sleep(max(0.0, pause))

    async def _step(self, session: Session, query: Query) -> None:
        try:
            await within_deadline(lambda: session.fetch(query), query.timeout, self._datastore.reason)
        except QueryError as error:
            self.errors[query.name] = error
        else:
            self.errors.pop(query.name, None)
