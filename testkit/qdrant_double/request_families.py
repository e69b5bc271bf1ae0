"""The request families of /metrics. Only endpoints of points and indexes count, and only status 200 is timed."""

from collections.abc import Iterator

from testkit.qdrant_double.durations import Durations
from testkit.qdrant_double.help import HELP
from testkit.qdrant_double.state import State

TIMED_STATUS = 200


def request_families(state: State, *, by_collection: bool) -> list[str]:
    """Return the families' lines; none before the first request that counts."""
    counted = list(_counted(state, by_collection=by_collection))
    if not counted:
        return []
    lines = _simple("rest_responses_total", "counter", [(labels, str(one.count)) for labels, _, one in counted])
    timed = [(labels, one) for labels, status, one in counted if status == TIMED_STATUS]
    if not timed:
        return lines
    averages = [(labels, _number(one.average / 1e6)) for labels, one in timed]
    lines += _simple("rest_responses_avg_duration_seconds", "gauge", averages)
    smallest = [(labels, _number((one.smallest or 0) / 1e6)) for labels, one in timed]
    lines += _simple("rest_responses_min_duration_seconds", "gauge", smallest)
    largest = [(labels, _number((one.largest or 0) / 1e6)) for labels, one in timed]
    lines += _simple("rest_responses_max_duration_seconds", "gauge", largest)
    lines += _head("rest_responses_duration_seconds", "histogram")
    dense = state.has("1.16")
    return lines + [line for labels, one in timed for line in _histogram(labels, one, dense=dense)]


def _counted(state: State, *, by_collection: bool) -> Iterator[tuple[str, int, Durations]]:
    requests = state.requests
    if by_collection:
        for (key, collection), durations in list(requests.by_collection.items()):
            if _listed(key[1]):
                yield f'{_labels(*key)},collection="{collection}"', key[2], durations
    else:
        for key, durations in list(requests.total.items()):
            if _listed(key[1]):
                yield _labels(*key), key[2], durations


def _listed(endpoint: str) -> bool:
    """Tell whether /metrics shows an endpoint (the server's REST_ENDPOINT_WHITELIST)."""
    return endpoint.endswith("/index") or ("/points" in endpoint and not endpoint.endswith("}"))


def _labels(method: str, endpoint: str, status: int) -> str:
    return f'method="{method}",endpoint="{endpoint}",status="{status}"'


def _head(name: str, kind: str) -> list[str]:
    return [f"# HELP {name} {HELP[name]}", f"# TYPE {name} {kind}"]


def _simple(name: str, kind: str, samples: list[tuple[str, str]]) -> list[str]:
    return [*_head(name, kind), *(f"{name}{{{labels}}} {value}" for labels, value in samples)]


def _histogram(labels: str, one: Durations, *, dense: bool) -> Iterator[str]:
    """Yield the buckets; before 1.16 those without an operation of their own are left out."""
    name, before = "rest_responses_duration_seconds", 0
    for bound, count in zip(one.bounds, one.buckets, strict=True):
        if dense or count > before:
            yield f'{name}_bucket{{{labels},le="{_number(bound)}"}} {count}'
        before = count
    yield f'{name}_bucket{{{labels},le="+Inf"}} {one.count}'
    yield f"{name}_sum{{{labels}}} {_number(one.total / 1e6)}"
    yield f"{name}_count{{{labels}}} {one.count}"


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else f"{value:.15f}".rstrip("0")
