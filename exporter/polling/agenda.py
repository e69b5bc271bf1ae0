"""The queries of one lane: which are due, in which order, which are late. Pure: callers pass the time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.polling.schedule import database_visits, interval
from exporter.queries.query import Query
from exporter.state.events import MonitoredTarget, fresh_seconds

_LATE = 0.5  # of its interval: a query this far past its due time runs before queries that are not late yet
_MAX_DOUBLINGS = 10  # of the pause after a failure
_MAX_AGE = 10.0  # times the usual lifetime of a result: an older one is not served, however slow the server


class Item(NamedTuple):
    """Name a query and the database it runs in; None is the server itself."""

    name: str
    database: str | None


@dataclass(slots=True)
class Entry:
    """Hold the times of an item: when it is due, its last run, and the seconds between its last three runs."""

    due: float
    last_run: float | None = None
    periods: tuple[float, ...] = ()
    failures: int = 0


class Agenda:
    """Decide what a lane runs next.

    A connection is bound to one database, so the slow lane visits databases one after another and runs everything that
    is due there. It visits the database whose queries are closest to late, measured in parts of their interval, first.
    During a visit, queries that are not late are skipped once a query of another database is late.
    """

    def __init__(self, target: MonitoredTarget, queries: Sequence[Query]) -> None:
        self.queries = {query.name: query for query in queries}
        self.database_queries = [query for query in queries if query.scope == "database"]
        self._target = target
        self._databases: Sequence[str] = ()
        self._entries: dict[Item, Entry] = {}
        self.clear(0.0)

    def query(self, item: Item) -> Query:
        return self.queries[item.name]

    def clear(self, now: float) -> None:
        """Make everything due, as at the start."""
        self._entries = {}
        self._update_entries(now)

    def set_databases(self, databases: Sequence[str], now: float) -> None:
        """Set the databases to visit; the queries of a new one are due at once, after those of the server."""
        if databases != self._databases:
            self._databases = databases
            self._update_entries(now)

    def _update_entries(self, now: float) -> None:
        items = [Item(name, None) for name, query in self.queries.items() if query.scope == "server"]
        visits = database_visits(self.database_queries, self._databases)
        items += [Item(query.name, database) for query, database in visits]
        self._entries = {item: self._entries.get(item) or Entry(now if item.database else 0.0) for item in items}

    def due(self, now: float) -> list[Item]:
        """Return everything that is due, the longest overdue first."""
        found = [item for item, entry in self._entries.items() if entry.due <= now]
        return sorted(found, key=lambda item: self._entries[item].due)

    def next_visit(self, now: float) -> tuple[list[Item], float]:
        """Return what is due in the most urgent database, users' queries last, and when another database is late."""
        due = self.due(now)
        if not due:
            return [], now
        database = min(due, key=self.late_at).database
        late_elsewhere = min((self.late_at(item) for item in self._entries if item.database != database), default=now)
        here = [item for item in due if item.database == database]
        return sorted(here, key=lambda item: (self.query(item).untrusted, self.late_at(item))), late_elsewhere

    def late_at(self, item: Item) -> float:
        """Return the time from which the item is late."""
        return self._entries[item].due + _LATE * self._seconds(item.name)

    def record_run(self, item: Item, now: float, *, failed: bool = False) -> None:
        """Schedule the next run: after a failure soon, with a pause that doubles at each further failure."""
        entry = self._entries.get(item)
        if entry is None:  # its database was dropped during the run
            return
        if entry.last_run is not None:
            entry.periods = (*entry.periods[-1:], now - entry.last_run)
        entry.last_run = now
        entry.failures = min(entry.failures + 1, _MAX_DOUBLINGS) if failed else 0
        pause = self._target.interval * 2 ** (entry.failures - 1) if failed else self._seconds(item.name)
        self._schedule_next(entry, min(pause, self._seconds(item.name)), now)

    def record_miss(self, item: Item, now: float) -> None:
        """Schedule an item that could not run for the next poll."""
        if (entry := self._entries.get(item)) is not None:
            self._schedule_next(entry, self._target.interval, now)

    def put_first(self, item: Item) -> None:
        """Make the next pass begin with this item."""
        if (entry := self._entries.get(item)) is not None:
            entry.due = 0.0

    def overdue(self, now: float) -> Iterator[tuple[Item, float]]:
        """Yield items whose last run is longer ago than their interval, and until when its result may be served."""
        for item, entry in self._entries.items():
            if entry.last_run is not None and now - entry.last_run > self._seconds(item.name):
                fresh = fresh_seconds(self._seconds(item.name))
                yield item, min(now + fresh, entry.last_run + _MAX_AGE * fresh)

    def periods(self, now: float) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """Return the seconds between the last two runs of each query, and of those that are lastingly late.

        Of several databases the longest period counts; the time since the last run counts as one when it is longer.
        Lastingly late: two periods in a row were longer than results of that query stay fresh.
        """
        last: dict[str, float] = {}
        lasting: dict[str, float] = {}
        for (name, _), entry in self._entries.items():
            periods = entry.periods
            if entry.last_run is not None and entry.due < now and now - entry.last_run > max(periods[-1:], default=0.0):
                periods = (*periods[-1:], now - entry.last_run)
            if periods and periods[-1] > last.get(name, 0.0):
                last[name] = periods[-1]
            if len(periods) > 1 and min(periods) > lasting.get(name, 0.0):
                lasting[name] = min(periods)
        return last, {name: period for name, period in lasting.items() if period > fresh_seconds(self._seconds(name))}

    def _seconds(self, name: str) -> float:
        return interval(self.queries[name], self._target)

    def _schedule_next(self, entry: Entry, seconds: float, now: float) -> None:
        """Make it due at the tick that is nearest to `seconds` from now."""
        entry.due = now + seconds - self._target.interval / 2
