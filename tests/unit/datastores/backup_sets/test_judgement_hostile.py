"""Whatever a place may hold, a set is judged, and what is said of it is bounded."""

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from exporter.config.backup_policy import Format
from exporter.datastores.backup_sets import rows
from exporter.datastores.backup_sets.backup import Backup, Copy, Problem, Rejection, SetFacts, WalArchive
from exporter.datastores.backup_sets.observed import ObservedSet
from exporter.errors import QueryError
from exporter.queries.health_rule import STATUSES
from tests.support.observed_sets import NOW, policy

TIMES = st.floats() | st.floats(NOW - 1e9, NOW + 1e5)
SOME = st.none() | TIMES
BACKUPS = st.builds(
    Backup,
    name=st.text() | st.just("x\n" * 2000),
    time=TIMES,
    bytes=st.floats(0, 1e15),
    problem=st.none() | st.builds(Problem, st.sampled_from(get_args(Rejection)), st.text() | st.just("y" * 5000)),
    seconds=st.none() | st.floats(0),
    being_written=st.booleans(),
)
FINITE = st.none() | st.floats(NOW - 1e9, NOW + 1e9)
FACTS = st.builds(
    SetFacts,
    observed_at=st.none() | st.floats(NOW - 1e8, NOW),
    backups=st.lists(BACKUPS, max_size=30),
    wal=st.none()
    | st.builds(WalArchive, segments=st.integers(0), bytes=st.floats(0, 1e15), gaps=st.integers(0, 10**9),
                missing=st.lists(st.text(), max_size=10).map(tuple), recoverable_from=FINITE, recoverable_until=FINITE),
    copy=st.none() | st.builds(Copy, st.none() | st.integers(0), st.none() | st.floats(0, 1e9), st.integers(0)),
    error=st.none() | st.builds(QueryError, st.sampled_from(["connect", "limit", "privilege"]), st.text(max_size=300)),
    known=st.booleans(),
)  # fmt: skip
POLICIES = st.sampled_from(
    [
        policy(),
        policy(keep={"daily": 30, "weekly": 12, "monthly": 12, "yearly": 7}, size={"min": "1KB", "max": "1GB"}),
        policy(every="5m", keep="7d", since="2026-01-01", duration="1m"),
        policy(keep={"daily": 400, "yearly": 100}, since="0001-01-01"),
        policy(keep={"daily": 400, "yearly": 100}, since="9999-12-31"),
    ]
)


@given(FACTS, st.sampled_from(get_args(Format)), POLICIES)
def test_any_facts_become_rows(facts: SetFacts, kind: str, wanted: object) -> None:
    one = ObservedSet("apex-daily", "orders", kind, wanted, facts, NOW)  # type: ignore[arg-type]  # one of POLICIES
    [row] = rows.set_rows([one])
    others = [make([one]) for make in (rows.rejected_rows, rows.retention_rows, rows.wal_rows, rows.copy_rows)]

    findings = row["findings"]
    assert row["status"] in STATUSES
    assert isinstance(findings, tuple)
    assert len(findings) <= 60
    assert all(text.isprintable() and len(text) < 5000 for text in findings)
    assert all(number is None or number == number for made in others for one in made for number in one.values())  # noqa: PLR0124 - NaN
