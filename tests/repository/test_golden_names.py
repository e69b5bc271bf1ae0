"""The committed names of PostgreSQL's series: every query has one, and so has every name of postgres_exporter."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from exporter.settings import read_queries
from tests.support.paths import GOLDEN

VERSIONS = ("14", "15", "16", "17", "18")
# What these servers have no series of, and other tests have: pgvector, statistics of a week, a superuser's view, and
# work in progress other than VACUUM.
ELSEWHERE = {"vector_indexes", "vector_columns", "indexes_unused", "conf_load_error", "progress"}


class Series(NamedTuple):
    labels: set[str]
    kind: str


@cache
def sections(version: str) -> dict[str, dict[str, Series]]:
    """Read a golden file: for each role, the metrics by name."""
    found: dict[str, dict[str, Series]] = {"primary": {}, "replica": {}}
    for line in (GOLDEN / f"postgres_{version}.txt").read_text().splitlines():
        role, series, kind = line.split(" ")
        name, _, labels = series.removesuffix("}").partition("{")
        found[role][name] = Series(set(labels.split(",")), kind)
    return found


def test_every_query_is_in_a_golden_file() -> None:
    """No query is there that no server was seen to answer with series."""
    names = {name for version in VERSIONS for role in sections(version).values() for name in role}
    silent = {
        query.name
        for query in read_queries(["postgres"])
        if query.metrics and not query.when.configured and not names & {metric.name for metric in query.metrics}
    }

    assert silent == ELSEWHERE


CONTRACT = [
    line.split(" | ")
    for line in (GOLDEN / "postgres_exporter_0.20.1.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
UNBOUNDED = {"pid"}
UNBOUNDED_ACTIVITY = {"application_name", "usename", "wait_event"}


def test_names_of_postgres_exporter_are_there() -> None:
    """Where it served one so do we, with its labels but the unbounded ones; what its type's rules forbid is untyped."""
    problems = [
        f"{name} at {place}: {problem}"
        for name, kind, labels, places in CONTRACT
        for place in places.split(", ")
        for problem in differences(name, kind, labels, place)
    ]

    assert len(CONTRACT) > 100
    assert problems == []


def differences(name: str, kind: str, labels: str, place: str) -> Iterator[str]:
    """Name what a series of a server's version and role lacks of what postgres_exporter served."""
    dropped = UNBOUNDED | (UNBOUNDED_ACTIVITY if name.startswith("pg_stat_activity_") else set())
    wanted = set() if labels == "-" else set(labels.split(",")) - dropped
    version, role = place.split()
    ours = sections(version)[role].get(name)
    if ours is None:
        yield "missing"
    else:
        yield from wanted - ours.labels
        if ours.kind not in {kind, "unknown"}:
            yield ours.kind
