"""Whatever stands where a value is expected: it is taken, or refused as a fault of the file."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config.config import load_config
from exporter.config.web_config_file import WebFile
from exporter.errors import ConfigError
from exporter.queries.postgres_exporter.loader import load_queries_yaml
from tests.support.factories import write
from tests.support.queries import load_query

CONFIG = """
listen: :9187
poll: {interval: 15s}
drain: 5s
thresholds: {disk_used_ratio: {warn: 0.1, fail: 0.2}}
readyz: {require: [w]}
web: {token: hunter22, reload: false, config_file: w.yml}
disable_queries: [table_bloat]
queries: [q.yaml]
targets:
  - name: a
    store: postgres
    url: postgresql://u@h/db
    password: x
    required: true
    maintenance: false
    groups: [w]
    labels: {env: x}
    interval: 10s
    databases: {include: ["*"], exclude: [a]}
    patroni: http://h:1
    disk_size: 1GB
    sample_activity: true
    expect: {settings: {work_mem: 4MB}, extensions: {a: "1.0"}, replicas: 1, partitioned_tables: {p: {ahead: 1d}}}
    thresholds: {response_seconds: {warn: 1, fail: 2}}
    checks: {connections: "off"}
    server_name: x
    verify: true
  - {name: m, store: minio, url: "http://h", access_key: a, region: r}
"""
QUERIES_YAML = """
ns:
  query: SELECT 1
  master: true
  cache_seconds: 5
  runonserver: ">=13"
  metrics: [{a: {usage: GAUGE, description: d, metric_mapping: {x: 1}}}]
"""
QUERY = """
query: SELECT 1 AS v
scope: server
interval: 1m
timeout: 5s
when: {version: ">=15", extension: "e>=1", configured: expect.tables}
labels: [l]
metrics: {m_a: {type: gauge, help: h, value: v, labels: {k: v}}}
max_series: 10
health: {check: c, metric: m_a, warn_above: 1}
targets: ["*"]
databases: ["*"]
"""
WEB = """
tls_server_config: {cert: x, key: y, client_allowed_sans: [a], min_version: TLS12, cipher_suites: [a]}
http_server_config: {http2: true, headers: {X-Frame-Options: deny}}
basic_auth_users: {a: x}
rate_limit: {interval: 1s, burst: 1}
"""
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "config": (CONFIG, load_config),
    "queries.yaml": (QUERIES_YAML, load_queries_yaml),
    "query": (QUERY, lambda path: load_query(path, "postgres")),
    "web": (WEB, WebFile),
}
ODD = ("1" * 5000, "99999999999999999999", "-1", ".nan", "null", "[[1]]", "{a: 1}", r'"\uD800"', r'"\0"')


def places(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield where a value stands, whole lists and mappings, too."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


def with_value(data: Any, path: tuple[str | int, ...], odd: str) -> str:
    changed = copy.deepcopy(data)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = "ODD VALUE"
    return yaml.safe_dump(changed).replace("ODD VALUE", odd)


@pytest.mark.parametrize("kind", READERS)
def test_a_value_is_taken_or_refused(tmp_path: Path, kind: str) -> None:
    text, read = READERS[kind]
    data = yaml.safe_load(text)
    write(tmp_path / "q.yaml", QUERIES_YAML)
    write(tmp_path / "w.yml", "")
    for path in places(data):
        for odd in ODD:
            file = write(tmp_path / "x.yaml", with_value(data, path, odd))
            try:
                read(file)
            except ConfigError as error:
                assert str(tmp_path) in str(error), (path, odd)  # noqa: PT017 - most are taken, or refused
