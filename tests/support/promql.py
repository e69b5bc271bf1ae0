"""The words that rules, panels and runbooks may use: every metric there is, with the labels it can have."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from exporter import alert_rules
from exporter.config.stores import STORES
from exporter.exposition.page import Page
from exporter.exposition.self_metrics import SelfMetrics
from exporter.queries.core_metrics import CORE_METRICS
from exporter.settings import read_queries

EVERYWHERE = frozenset({"job", "instance", "target", "store", "cluster"})  # Prometheus', ours, a target's `labels:`
STORE_PREFIXES = tuple(prefix for store in STORES.values() for prefix in store.prefixes)
SERVERS_OWN = frozenset({
    "pg_basebackup", "pg_cancel_backend", "pg_dump", "pg_file_settings", "pg_hba", "pg_monitor", "pg_partman",
    "pg_receivewal", "pg_reload_conf", "pg_repack", "pg_restore", "pg_rewind", "pg_stat_statements",
    "pg_terminate_backend", "pg_wal", "pg_wal_replay_pause", "pg_wal_replay_resume",
})  # fmt: skip
_PARTS = ("_bucket", "_sum", "_count")
_PROMETHEUS: Mapping[str, frozenset[str]] = {
    "up": frozenset(),
    "ALERTS": frozenset({"alertname", "alertstate", "severity", "component", "check"}),
    "ALERTS_FOR_STATE": frozenset({"alertname", "severity", "component", "check"}),
}
_SELECTOR = re.compile(r"(?<![\w:$])([a-zA-Z_][\w:]*)\s*(\{[^}]*\})?(?!\s*\(|[\w:])")
_LIST = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_MATCHER = re.compile(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)")
_WORDS = frozenset(
    {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset", "inf"}
)


class Selector(NamedTuple):
    """Name one metric and the labels it is selected by."""

    name: str
    labels: frozenset[str]


@cache
def declared() -> Mapping[str, frozenset[str]]:
    """Return every metric that a page can have or a rule records, with its labels beyond those of all."""
    found: dict[str, frozenset[str]] = dict(_PROMETHEUS)
    for core in CORE_METRICS.values():
        found |= _series(core.metric.name, core.metric.type, frozenset(core.labels))
    for query in read_queries(STORES):
        for metric in query.metrics:
            if metric.name not in CORE_METRICS:
                found |= _series(metric.name, metric.type, frozenset(query.label_names))
    for family in text_string_to_metric_families(asyncio.run(_own_page()).decode()):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, frozenset()) | sample.labels.keys()
    for name in alert_rules.names():
        for record, expr in alert_rules.catalogue(name).recording.items():
            used = [found.get(selector.name, frozenset()) for selector in selectors(expr)]
            found[record] = frozenset().union(*used)
    return found


async def _own_page() -> bytes:
    return SelfMetrics().page("text", Page({}, ()))


def _series(name: str, kind: str, labels: frozenset[str]) -> dict[str, frozenset[str]]:
    if kind != "histogram":
        return {name: labels}
    return {name + part: labels | ({"le"} if part == "_bucket" else frozenset()) for part in _PARTS}


def selectors(expr: str) -> Iterator[Selector]:
    """Find what an expression reads; a query language's full grammar is not needed for that."""
    bare = _LIST.sub(" ", re.sub(r"\[[^\]]*\]", " ", expr))
    quiet = re.sub(r'"(?:[^"\\]|\\.)*"', '""', bare)
    for name, braces in _SELECTOR.findall(quiet):
        if name.lower() not in _WORDS:
            yield Selector(name, frozenset(_MATCHER.findall(braces)))


def listed_labels(expr: str) -> set[str]:
    """Find the labels that an expression groups or joins by."""
    return {label.strip() for part in _LIST.findall(expr) for label in part.split(",") if label.strip()}


def unknown_words(expr: str) -> list[str]:
    """Name the metrics and labels of an expression that are declared nowhere."""
    known = declared()
    found = list(selectors(expr))
    problems = [f"{selector.name} is declared nowhere" for selector in found if selector.name not in known]
    for selector in found:
        strange = selector.labels - known.get(selector.name, selector.labels) - EVERYWHERE
        problems += [f"{selector.name} has no label {label}" for label in sorted(strange)]
    there = EVERYWHERE.union(*(known.get(selector.name, frozenset()) for selector in found))
    return problems + [f"nothing here has the label {label}" for label in sorted(listed_labels(expr) - there)]


def strange_metrics(text: str) -> set[str]:
    """Find what looks like a metric of ours in prose, and is none; what is SQL or Cypher speaks of other things."""
    prose = re.sub(r"```(?:sql|cypher)\n.*?```", "", text, flags=re.DOTALL)
    looks = re.findall(rf"(?<![\w./-])(?:{'|'.join(('datatier_', *STORE_PREFIXES))})[a-z0-9_]+\b(?!\()", prose)
    return set(looks) - declared().keys() - SERVERS_OWN
