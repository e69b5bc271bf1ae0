"""The parts of the admin pages that operations read: most of a page is histograms, which are not kept for a pass."""

from collections.abc import Callable, Collection, Mapping
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

from exporter.datastores.json_text import Json, objects
from exporter.errors import QueryError

_BUCKETS, _NODES, _DRIVES = 20_000, 2_000, 50_000  # more than a page of the largest size can hold
_WORD = 200  # characters of a text: versions, states, names


class AdminPage(NamedTuple):
    """An admin call, a key that only its response has, and a function that returns the parts to keep."""

    call: str
    sign: str
    kept: Callable[[Json], Json]


def _account(page: Json) -> Json:
    buckets = objects(page, "Buckets")
    _bounded(buckets, _BUCKETS, "buckets")
    return {"Server": _picked(page.get("Server"), {"DrivesPerSet"}), "Buckets": [_bucket(each) for each in buckets]}


def _bucket(bucket: Json) -> Json:
    found = bucket.get("details")
    details = found if isinstance(found, Mapping) else {}
    flags = _picked(details, {"versioning", "versioningSuspended", "locking", "replication"})
    quota = _picked(details.get("quota"), {"size", "quota"})
    counted = bool(bucket.get("objectHistogram"))
    return {
        **_picked(bucket, {"name", "size", "objects"}),
        "objectHistogram": counted,
        "details": {**flags, **({"quota": quota} if quota else {})},
    }


def _usage(page: Json) -> Json:
    totals = {"lastUpdate", "objectsTotalSize", "objectsCount", "versionsCount", "deleteMarkersCount", "bucketsCount"}
    found = page.get("bucketsUsageInfo")
    buckets = found if isinstance(found, Mapping) else {}
    _bounded(buckets, _BUCKETS, "buckets")
    counts = {"size", "objectsCount", "versionsCount", "deleteMarkersCount"}
    return {
        **_picked(page, totals),
        "bucketsUsageInfo": {_word(name): _picked(each, counts) for name, each in buckets.items()},
    }


def _info(page: Json) -> Json:
    nodes = objects(page, "servers")
    _bounded(nodes, _NODES, "nodes")
    _bounded(list(chain.from_iterable(objects(node, "drives") for node in nodes)), _DRIVES, "drives")
    return {"servers": [_node(node) for node in nodes]}


def _node(node: Json) -> Json:
    drives = [_picked(drive, {"state", "healing", "pool_index", "set_index"}) for drive in objects(node, "drives")]
    return {**_picked(node, {"state", "version", "edition", "uptime"}), "drives": drives}


def _picked(found: object, names: Collection[str]) -> dict[str, object]:
    """Return those of an object's plain values and arrays that exist; texts are cut."""
    if not isinstance(found, Mapping):
        return {}
    return {name: _word(found[name]) for name in names if name in found and not isinstance(found[name], Mapping)}


def _word(value: object) -> object:
    if isinstance(value, list):
        return value[:_NODES]
    return value[:_WORD] if isinstance(value, str) else value


def _bounded(found: Collection[object], most: int, what: str) -> None:
    if len(found) > most:
        raise QueryError("limit", f"the server tells of {len(found)} {what}, more than {most}")


ADMIN_PAGES: Mapping[str, AdminPage] = MappingProxyType(
    {
        "account": AdminPage("accountinfo", "AccountName", _account),
        "info": AdminPage("info", "servers", _info),
        "usage": AdminPage("datausageinfo", "lastUpdate", _usage),
    }
)
