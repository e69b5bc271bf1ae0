"""What Neo4j's operations make of rows: zeros, units, each completed query once."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pytest

from exporter.datastores.neo4j.operations import DATABASE_STATUSES, OPERATIONS, Durations, quantity
from exporter.datastores.neo4j.session import PAGES
from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import Params
from exporter.queries.query import Row

_T = TypeVar("_T")


class FakeSession:
    """Return the rows of each statement by words that it contains."""

    info = ServerInfo("5.26.31", started_at=1.0)

    def __init__(self, answers: Mapping[str, list[Row]]) -> None:
        self._answers = answers

    async def read(self, page: str) -> list[Row]:
        text, _ = PAGES[page]
        return next(rows for words, rows in self._answers.items() if words in text)

    async def make_rows(self, make: Callable[..., _T], *arguments: Any) -> _T:
        return make(*arguments)


async def rows_of(operation: str, answers: Mapping[str, list[Row]]) -> Sequence[Row]:
    return await OPERATIONS[operation].run(FakeSession(answers), Params(), None)


def load(database: str, status: str, **columns: float) -> Row:
    numbers = ("transactions", "oldest", "longest", "over_1", "over_10", "over_60", "over_300", "locks", "wait")
    zeros = dict.fromkeys((*numbers, "page_hits", "page_faults", "heap", "native"), 0.0)
    return {"database": database, "status": status, **zeros, **columns}


DATABASES: list[Row] = [{"name": "neo4j", "status": "online"}, {"name": "system", "status": "online"}]
TRANSACTIONS = [
    load("neo4j", "Running", transactions=2, oldest=100.5, longest=70.0, over_60=1, locks=3),
    load("neo4j", "Blocked", transactions=1, oldest=90.25, longest=80.0, over_60=1, locks=1),
]
ANSWERS: Mapping[str, list[Row]] = {"SHOW DATABASES": DATABASES, "SHOW TRANSACTIONS": TRANSACTIONS}


async def test_every_status_of_a_database_has_a_number() -> None:
    """A cluster shows each copy in a row of its own; copies are counted, unknown statuses kept."""
    cluster: list[Row] = [
        {"name": "orders", "status": "online"},
        {"name": "orders", "status": "online"},
        {"name": "orders", "status": "reheating"},
    ]

    rows = await rows_of("database_status", {"SHOW DATABASES": cluster})

    numbers = {row["status"]: row["members"] for row in rows}
    assert numbers == {**dict.fromkeys(DATABASE_STATUSES, 0), "online": 2, "reheating": 1}


async def test_transactions_of_every_database_have_a_number() -> None:
    """A database without transactions has zeros, not silence."""
    rows = await rows_of("transactions", ANSWERS)

    numbers = {(row["db"], row["status"]): row["transactions"] for row in rows if row["transactions"]}
    assert numbers == {("neo4j", "Running"): 2, ("neo4j", "Blocked"): 1}
    assert len(rows) == 8


async def test_load_is_added_up_over_statuses() -> None:
    """The oldest transaction counts whatever its status; without one there is no oldest."""
    busy, idle = await rows_of("transaction_load", ANSWERS)

    assert (busy["db"], busy["oldest"], busy["longest"], busy["locks"]) == ("neo4j", 90.25, 80.0, 4.0)
    assert (idle["db"], idle["oldest"], idle["longest"], idle["locks"]) == ("system", None, 0, 0.0)


async def test_old_transactions_are_counted_by_threshold() -> None:
    """Every database has every threshold."""
    rows = await rows_of("transactions_over", ANSWERS)

    numbers = {(row["db"], row["threshold"]): row["transactions"] for row in rows}
    assert numbers["neo4j", 60] == 2.0
    assert numbers["system", 60] == 0.0
    assert len(numbers) == 8


@pytest.mark.parametrize(
    ("text", "column", "number"),
    [
        ("64.00MiB", "bytes", 64 * 1024**2),
        ("0B", "bytes", 0),
        ("1.5GiB", "bytes", 1.5 * 1024**3),
        ("15m", "seconds", 900),
        ("1h30m", "seconds", 5400),
        ("250ms", "seconds", 0.25),
        ("400", "value", 400),
    ],
)
def test_settings_are_read_in_base_units(text: str, column: str, number: float) -> None:
    """A value has one unit, and so one metric."""
    assert quantity(text) == {"bytes": None, "seconds": None, "value": None, column: number}


@pytest.mark.parametrize("text", ["", "PERIODIC", "1/2", "12 apples"])
def test_settings_without_a_number_have_no_sample(text: str) -> None:
    """What is not set, or is a word, is no measurement."""
    assert set(quantity(text).values()) == {None}


def test_first_poll_counts_nothing_and_shows_zeros() -> None:
    """What completed before we came is not ours to count; the counters exist from the start."""
    durations = Durations()
    since = durations.since
    durations.add(5000, 100, [], 1.0)

    row = durations.row()
    assert since > 10**15
    assert durations.since == 5000
    assert (row["seconds_sum"], row["gaps"], row["compile_seconds"]) == (0.0, 0, 0.0)


def test_durations_land_in_buckets_of_seconds() -> None:
    """The server reports microseconds: the whole duration, and that of compiling."""
    durations = Durations()
    durations.add(5000, 100, [], 1.0)
    durations.add(6000, 100, [(4_000, 1_000), (2_000_000, 0)], 1.0)

    row = durations.row()
    buckets = row["seconds"]
    assert isinstance(buckets, dict)
    assert (buckets[0.001], buckets[0.005], buckets[1.0], buckets[2.5], buckets[math.inf]) == (0, 1, 1, 2, 2)
    assert row["seconds_sum"] == pytest.approx(2.004)
    assert row["compile_seconds"] == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("oldest", "started_at", "gaps"),
    [
        (100, 1.0, 0),  # what we saw last time is still there
        (5500, 1.0, 1),  # all of it is gone: so may be others
        (None, 1.0, 1),
        (5500, 2.0, 0),  # a restart empties the ring
    ],
)
def test_ring_that_ran_over_is_a_gap(oldest: int | None, started_at: float, gaps: int) -> None:
    """Queries that may have been forgotten uncounted are admitted."""
    durations = Durations()
    durations.add(5000, 100, [], 1.0)
    durations.add(6000, oldest, [], started_at)

    assert durations.row()["gaps"] == gaps
