"""What a lane is to ask next, and how late it is with it: no clock and no I/O, every method is told the time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.polling.schedule import database_visits, interval
from exporter.queries.query import Query
from exporter.state.events import MonitoredTarget, fresh_seconds

_URGENT = 0.5  # of its interval: a query that waits longer than that goes before what has more time
_BACK_OFF = 10  # doublings at most
_OLDEST = 10.0  # times as long as usual: then nobody believes it any more, however slow the server


class Item(NamedTuple):
    """Name a query and where it is asked: a database, or None, the server."""

    name: str
    place: str | None


@dataclass(slots=True)
class Entry:
    """Remember of an item when it is due, was asked, and how far apart its last two runs and the two before were."""

    due: float
    asked: float | None = None
    periods: tuple[float, ...] = ()
    failures: int = 0


class Agenda:
    """Say what of one lane is due.

    Of several databases that one is visited next which waits longest, in parts of the interval that is asked for, and
    everything due there is asked: a connection is for one database. What has time waits for another visit, though, once
    something more urgent is late elsewhere.
    """

    def __init__(self, target: MonitoredTarget, queries: Sequence[Query]) -> None:
        self.queries = {query.name: query for query in queries}
        self.inside = [query for query in queries if query.scope == "database"]
        self._target = target
        self._databases: Sequence[str] = ()
        self._entries: dict[Item, Entry] = {}
        self.clear(0.0)

    def query(self, item: Item) -> Query:
        return self.queries[item.name]

    def clear(self, now: float) -> None:
        """Make everything due, as at the start."""
        self._entries = {}
        self._fill(now)

    def meet(self, databases: Sequence[str], now: float) -> None:
        """Take in which databases there are; what comes, or comes again, is due at once, after what is the server's."""
        if databases != self._databases:
            self._databases = databases
            self._fill(now)

    def _fill(self, now: float) -> None:
        items = [Item(name, None) for name, query in self.queries.items() if query.scope == "server"]
        items += [Item(query.name, database) for query, database in database_visits(self.inside, self._databases)]
        self._entries = {item: self._entries.get(item) or Entry(now if item.place else 0.0) for item in items}

    def due(self, now: float) -> list[Item]:
        """Return everything that is due, the longest overdue first."""
        found = [item for item, entry in self._entries.items() if entry.due <= now]
        return sorted(found, key=lambda item: self._entries[item].due)

    def visit(self, now: float) -> tuple[list[Item], float]:
        """Return what is due in the most urgent place, users' own last, and from when on another place is late."""
        due = self.due(now)
        if not due:
            return [], now
        place = min(due, key=self.urgency).place
        elsewhere = min((self.urgency(item) for item in self._entries if item.place != place), default=now)
        here = [item for item in due if item.place == place]
        return sorted(here, key=lambda item: (self.query(item).untrusted, self.urgency(item))), elsewhere

    def urgency(self, item: Item) -> float:
        """Return from when on it is late."""
        return self._entries[item].due + _URGENT * self._seconds(item.name)

    def asked(self, item: Item, now: float, *, failed: bool = False) -> None:
        """Note that it was asked; what failed is tried again soon, and ever less often if it goes on failing."""
        entry = self._entries.get(item)
        if entry is None:  # its database went away meanwhile
            return
        if entry.asked is not None:
            entry.periods = (*entry.periods[-1:], now - entry.asked)
        entry.asked = now
        entry.failures = min(entry.failures + 1, _BACK_OFF) if failed else 0
        pause = self._target.interval * 2 ** (entry.failures - 1) if failed else self._seconds(item.name)
        self._schedule_next(entry, min(pause, self._seconds(item.name)), now)

    def missed(self, item: Item, now: float) -> None:
        """Note that nobody could be asked: it is due again at the next poll."""
        if (entry := self._entries.get(item)) is not None:
            self._schedule_next(entry, self._target.interval, now)

    def put_first(self, item: Item) -> None:
        """Let the next pass begin with it."""
        if (entry := self._entries.get(item)) is not None:
            entry.due = 0.0

    def waiting(self, now: float) -> Iterator[tuple[Item, float]]:
        """Yield what is still served although it should have been asked long ago, and until when it may be."""
        for item, entry in self._entries.items():
            if entry.asked is not None and now - entry.asked > self._seconds(item.name):
                fresh = fresh_seconds(self._seconds(item.name))
                yield item, min(now + fresh, entry.asked + _OLDEST * fresh)

    def periods(self, now: float) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """Return the seconds between two runs of each query, at most in all places; those since the last, if more.

        Then the same of those alone whose samples are older for it than was asked for, twice in a row.
        """
        last: dict[str, float] = {}
        lasting: dict[str, float] = {}
        for (name, _), entry in self._entries.items():
            periods = entry.periods
            if entry.asked is not None and entry.due < now and now - entry.asked > max(periods[-1:], default=0.0):
                periods = (*periods[-1:], now - entry.asked)
            if periods and periods[-1] > last.get(name, 0.0):
                last[name] = periods[-1]
            if len(periods) > 1 and min(periods) > lasting.get(name, 0.0):
                lasting[name] = min(periods)
        return last, {name: period for name, period in lasting.items() if period > fresh_seconds(self._seconds(name))}

    def _seconds(self, name: str) -> float:
        return interval(self.queries[name], self._target)

    def _schedule_next(self, entry: Entry, seconds: float, now: float) -> None:
        """Make it due at the tick nearest to so many seconds from now."""
        entry.due = now + seconds - self._target.interval / 2
