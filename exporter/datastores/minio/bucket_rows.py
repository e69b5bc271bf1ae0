"""Rows about buckets: the scanner's counts, and the flags that the server keeps in memory.

The largest buckets have series of their own, and one row stands for all others together, as for tables.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from pydantic import Field

from exporter.datastores.accumulators import heaviest
from exporter.datastores.json_text import Json, number, objects
from exporter.errors import QueryError
from exporter.queries.operation import Params
from exporter.queries.query import Row

_VERSIONING_STATES = ("enabled", "suspended", "off")
_COUNTS = ("bytes", "objects", "versions", "delete_markers")
_FLAGS = ("object_lock", "replication", "quota")


class LargestParams(Params):
    """How many buckets have series of their own."""

    top: int = Field(default=2000, ge=1, le=2000)


class Members:
    """The buckets that have series, from one poll to the next."""

    def __init__(self) -> None:
        self._names: frozenset[object] = frozenset()

    def divide(self, sizes: Mapping[object, float], top: int) -> frozenset[object]:
        """Choose and remember the names of the largest."""
        self._names = frozenset(heaviest(sizes, self._names, top))
        return self._names


def usage_rows(usage: Json) -> list[Row]:
    """Return the totals of the cluster."""
    timestamp = _scanned_at(usage)
    columns = {
        "bytes": "objectsTotalSize",
        "objects": "objectsCount",
        "versions": "versionsCount",
        "delete_markers": "deleteMarkersCount",
        "buckets": "bucketsCount",
    }
    return [{"timestamp": timestamp, **{column: number(usage, key) for column, key in columns.items()}}]


def bucket_rows(usage: Json, params: LargestParams, members: Members) -> list[Row]:
    """Return the largest buckets as the scanner counted them; one created after the last scan is missing."""
    _scanned_at(usage)
    buckets = {name: each for name, each in _object(usage, "bucketsUsageInfo").items() if isinstance(each, Mapping)}
    rows = [
        {
            "bucket": bucket,
            "bytes": number(counts, "size"),
            "objects": number(counts, "objectsCount"),
            "versions": number(counts, "versionsCount"),
            "delete_markers": number(counts, "deleteMarkersCount"),
        }
        for bucket, counts in sorted(buckets.items())
    ]
    return _with_others(rows, members.divide(_sizes(rows), params.top), _COUNTS)


def bucket_rows_of_account(account: Json, params: LargestParams, members: Members) -> list[Row]:
    """Return size and objects of the buckets that our keys may see, for a login that may not make the other call."""
    rows: list[Row] = [
        {
            "bucket": bucket.get("name"),
            "bytes": number(bucket, "size"),
            "objects": number(bucket, "objects"),
            "versions": None,
            "delete_markers": None,
        }
        for bucket in objects(account, "Buckets")
        if bucket.get("objectHistogram")  # before the first scan there is none, and size and objects are 0
    ]
    return _with_others(rows, members.divide(_sizes(rows), params.top), _COUNTS)


def flag_rows(account: Json, params: LargestParams, members: Members) -> list[Row]:
    """Return the features of each of the largest buckets; without a quota there is no sample of it."""
    rows: list[Row] = []
    for bucket in objects(account, "Buckets"):
        details = _object(bucket, "details")
        quota = _object(details, "quota")
        rows.append(
            {
                "bucket": bucket.get("name"),
                "object_lock": details.get("locking"),
                "replication": details.get("replication"),
                "quota": number(quota, "size") or number(quota, "quota") or None,
            }
        )
    return _with_others(rows, _largest(account, params, members), _FLAGS)


def versioning_rows(account: Json, params: LargestParams, members: Members) -> list[Row]:
    """Return the state of versioning, one row a bucket and state, and how many of the others are in each state."""
    chosen = _largest(account, params, members)
    rows: list[Row] = []
    others = dict.fromkeys(_VERSIONING_STATES, 0.0)
    for bucket in objects(account, "Buckets"):
        state = _versioning(bucket)
        if bucket.get("name") in chosen:
            rows.extend(
                {"bucket": bucket.get("name"), "state": each, "is": float(state == each), "others": None}
                for each in _VERSIONING_STATES
            )
        else:
            others[state] += 1
    return [*rows, *({"bucket": None, "state": s, "is": None, "others": count} for s, count in others.items())]


def _largest(account: Json, params: LargestParams, members: Members) -> frozenset[object]:
    sizes: dict[object, float] = {
        bucket.get("name"): number(bucket, "size") or 0.0 for bucket in objects(account, "Buckets")
    }
    return members.divide(sizes, params.top)


def _sizes(rows: Sequence[Row]) -> dict[object, float]:
    return {row["bucket"]: size if isinstance(size := row["bytes"], float) else 0.0 for row in rows}


def _scanned_at(usage: Json) -> float:
    """Return when the scanner last saved its counts; before its first round they are all 0."""
    time = datetime.fromisoformat(str(usage["lastUpdate"]))
    if time < datetime(1970, 1, 1, tzinfo=UTC):
        raise QueryError("unsupported", "the scanner has not finished its first round")
    return time.timestamp()


def _versioning(bucket: Json) -> str:
    details = _object(bucket, "details")
    if details.get("versioningSuspended"):
        return "suspended"
    return "enabled" if details.get("versioning") else "off"


def _object(parent: Json, key: str) -> Json:
    found = parent.get(key)
    return found if isinstance(found, Mapping) else {}


def _with_others(rows: Iterable[Row], chosen: frozenset[object], sums: Sequence[str]) -> list[Row]:
    """Return the rows of the chosen buckets, and one with the columns `others` and `other_<sum>` for those left.

    A sum is None where the number is known of none of the others.
    """
    kept: list[Row] = []
    left: list[Row] = []
    for row in rows:
        (kept if row["bucket"] in chosen else left).append(row)
    columns = {f"other_{name}": _sum(left, name) for name in sums} | {"others": float(len(left))}
    no_others: Row = dict.fromkeys(columns)
    return [*({**row, **no_others} for row in kept), {"bucket": None, **dict.fromkeys(sums), **columns}]


def _sum(rows: Sequence[Row], name: str) -> float | None:
    values = [float(value) for row in rows if isinstance(value := row[name], int | float)]
    return sum(values) if values or not rows else None
