"""Series for the heaviest tables or indexes of a database, and one row for all others together.

A partitioned table is one of them, with its partitions added up. Such sums, and those of all others, would fall
whenever a partition is dropped or a table changes sides, which Prometheus takes for a restart. So their counters grow,
from 0 when the exporter reached the server, by what each table's own counters gained.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter

from pydantic import Field

from exporter.datastores.accumulators import Counts, Deltas, heaviest
from exporter.datastores.postgres.session import OperationSession
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

Name = tuple[object, ...]
Groups = Mapping[Name, Sequence[Row]]

_weight: Callable[[Row], float] = itemgetter("weight")


class TopRelationsParams(Params):
    """The statement's columns: beside these `oid` identifies a row, `weight` ranks it, `partition` is true of parts.

    Rows with the same labels are the parts of one thing. What is `latest` is a time, or NULL.
    """

    sql: str
    labels: list[str]
    counters: list[str]
    sums: list[str] = Field(default_factory=list)
    latest: list[str] = Field(default_factory=list)
    top: int = Field(default=200, ge=1, le=1000)


class _State:
    """State between polls: the names that have series, and the sums of their counters."""

    def __init__(self) -> None:
        self.deltas: Deltas[object] = Deltas()
        self.members: Mapping[Name, Counts] = {}
        self.others: Counts = ()


async def _top_relations(session: OperationSession, params: TopRelationsParams, state: _State) -> Sequence[Row]:
    """Return a row for each of the heaviest, and one with the columns `others` and `other_<counter or sum>`."""
    rows = await session.given_rows(params.sql)
    gains = state.deltas.update(_counters(rows, params.counters)) or {}
    groups = _grouped(rows, params.labels)
    zeros = (0.0,) * len(params.counters)
    weights = {name: sum(map(_weight, group)) for name, group in groups.items()}
    members = {name: state.members.get(name, zeros) for name in heaviest(weights, state.members, params.top)}
    others = state.others or zeros
    for name, group in groups.items():
        gained = [gains[row["oid"]] for row in group if row["oid"] in gains]
        if gained and name in members:
            members[name] = _added(members[name], gained)
        elif gained:
            others = _added(others, gained)
    state.members, state.others = members, others
    return _rows(groups, members, others, params)


def _counters(rows: Iterable[Row], names: Sequence[str]) -> dict[object, Counts]:
    values = itemgetter(*names)
    return {row["oid"]: tuple(value or 0.0 for value in values(row)) for row in rows}


def _grouped(rows: Iterable[Row], labels: Sequence[str]) -> dict[Name, list[Row]]:
    name = itemgetter(*labels)
    groups: dict[Name, list[Row]] = {}
    for row in rows:
        groups.setdefault(name(row), []).append(row)
    return groups


def _rows(groups: Groups, members: Mapping[Name, Counts], others: Counts, params: TopRelationsParams) -> list[Row]:
    left = [row for name, group in groups.items() if name not in members for row in group]
    alone = {f"other_{name}": count for name, count in zip(params.counters, others, strict=True)}
    alone |= {f"other_{name}": _sum(left, name) or 0.0 for name in params.sums}
    alone["others"] = float(len(groups) - len(members))
    no_others: Row = dict.fromkeys(alone)
    rows: list[Row] = [
        {**no_others, **dict(zip(params.labels, name, strict=True)), **_values(groups[name], counts, params)}
        for name, counts in members.items()
    ]
    columns = (*params.labels, *params.counters, *params.sums, *params.latest)
    return [*rows, {**dict.fromkeys(columns), **alone}]


def _values(group: Sequence[Row], grown: Counts, params: TopRelationsParams) -> Row:
    """Return the server's own counters where a group is one table, and those that grew here where it has parts."""
    [first, *_] = group
    if not first["partition"]:
        return {name: first[name] for name in (*params.counters, *params.sums, *params.latest)}
    counters = {
        name: count if any(row[name] is not None for row in group) else None
        for name, count in zip(params.counters, grown, strict=True)
    }
    sums = {name: _sum(group, name) for name in params.sums}
    return {**counters, **sums, **{name: max(_values_of(group, name), default=None) for name in params.latest}}


def _sum(rows: Iterable[Row], name: str) -> float | None:
    values = _values_of(rows, name)
    return sum(values) if values else None


def _values_of(rows: Iterable[Row], name: str) -> list[float]:
    return [value for row in rows if isinstance(value := row[name], float)]


def _added(counts: Counts, gained: Iterable[Counts]) -> Counts:
    return tuple(map(sum, zip(counts, *gained, strict=True)))


TOP_RELATIONS = Operation(_top_relations, TopRelationsParams, _State)
