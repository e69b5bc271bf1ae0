"""Rows about buckets: what the scanner counted, and the flags the server keeps in memory."""

from collections.abc import Mapping
from datetime import UTC, datetime

from exporter.datastores.minio.answers import Json, number, objects
from exporter.query import QueryError, Row

_VERSIONING_STATES = ("enabled", "suspended", "off")


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


def bucket_rows(usage: Json) -> list[Row]:
    """Return each bucket as the scanner counted it; one that is younger than the last scan is not there yet."""
    _scanned_at(usage)
    return [
        {
            "bucket": bucket,
            "bytes": number(counts, "size"),
            "objects": number(counts, "objectsCount"),
            "versions": number(counts, "versionsCount"),
            "delete_markers": number(counts, "deleteMarkersCount"),
        }
        for bucket, counts in sorted(_object(usage, "bucketsUsageInfo").items())
        if isinstance(counts, Mapping)
    ]


def bucket_rows_of_account(account: Json) -> list[Row]:
    """Return size and objects of the buckets that our keys may see, where the other call is refused."""
    return [
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


def flag_rows(account: Json) -> list[Row]:
    """Return what is switched on for each bucket; no quota is no sample."""
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
    return rows


def versioning_rows(account: Json) -> list[Row]:
    """Return the state of versioning, one row a bucket and state."""
    return [
        {"bucket": bucket.get("name"), "state": state, "is": float(state == _versioning(bucket))}
        for bucket in objects(account, "Buckets")
        for state in _VERSIONING_STATES
    ]


def _scanned_at(usage: Json) -> float:
    """Return when the scanner last saved its counts; before its first round they are 0 and mean nothing."""
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
