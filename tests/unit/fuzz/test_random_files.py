"""Whatever a file holds, it is read or refused in lines that a person can read; nothing else ever happens."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.config.config import load_config
from exporter.config.web_config_file import WebFile
from exporter.errors import ConfigError
from exporter.queries.postgres_exporter.loader import load_queries_yaml
from tests.support.fuzz import examples
from tests.support.queries import load_query

CONFIG = """
listen: 127.0.0.1:9187
poll: {interval: 15s}
drain: 5s
targets:
  - &a {name: orders, store: postgres, url: "postgresql://u:${P}@h:5432/db?sslmode=require", groups: [write],
     labels: {cluster: eu}, interval: 1m, databases: {include: ["*"]}, disk_size: 5GiB, required: false}
  - {name: search, store: qdrant, url: "https://q:6333", api_key: x, server_name: q, verify: true}
  - {name: graph, store: neo4j, url: "bolt://g", user: u, password: x, maintenance: true}
  - {name: objects, store: minio, url: "http://m", access_key: u, secret_key: x}
thresholds: {disk_used_ratio: {warn: 0.8, fail: 0.9}}
readyz: {require: [write]}
web: {token: secret, reload: true}
"""
WEB = """
tls_server_config: {client_auth_type: NoClientCert, min_version: TLS12, cipher_suites: [], curve_preferences: []}
http_server_config: {http2: true, headers: {X-Frame-Options: deny}}
basic_auth_users: {u: $2y$10$.....................................................}
rate_limit: {interval: 1s, burst: 20}
"""
QUERY = """
query: {"14": SELECT 1}
interval: 5m
timeout: 5s
when: {version: ">=14"}
labels: [datname]
metrics: {pg_a_bytes: {type: gauge, help: A., value: a, labels: {kind: x}}}
max_series: 100
health: {check: a, metric: pg_a_bytes, warn_above: 1}
findings: names
"""
IMPORTED = """
pg_shop:
  query: SELECT current_database() AS datname
  master: true
  cache_seconds: 30
  runonserver: ">=13.0.0"
  metrics: [{datname: {usage: LABEL, description: D}}, {a: {usage: MAPPEDMETRIC, metric_mapping: {x: 1}}}]
"""


def read_config(path: Path) -> None:
    WebFile(load_config(path, {"P": "hunter22"}).web.config_file)


READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "config": (CONFIG, read_config),
    "web": (WEB, WebFile),
    "query": (QUERY, lambda path: load_query(path, "postgres")),
    "imported": (IMPORTED, load_queries_yaml),
}
FRAGMENTS = [
    "{", "}", "[", "]", ":", ": ", "- ", "? ", "&a ", "*a", "<<: ", "!!int ", "!!timestamp ", "!!set ", "!!binary ",
    "!x ", "|", ">-", "'", '"', "\n", "\n  ", "\t", "#", "%YAML 9.9\n", "---\n", "...\n", "\x00", "\x85", "\ufeff",
    "\u2028", '"\\ud800"', '"\\0"', "${P}", "$${P}", "${", "${NONE}", ".nan", "-.inf", "1e999", "2024-13-99",
    "0x", "1:61", "=", "null", "yes", "~", "[" * 500, "é", "\U0001f600",
]  # fmt: skip
fragments = st.sampled_from(FRAGMENTS) | st.text(max_size=5)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates() | st.binary(max_size=5)
    | st.sampled_from(["\ud800", "a\0b", "/dev/null", "/proc/self/mem", "9" * 400, "x" * 5000, 10**400, "${P}"])
)  # fmt: skip
keys = st.text(max_size=5) | st.integers() | st.none() | st.booleans() | st.floats()
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(keys, v, max_size=3), max_leaves=4)

few = examples(40)


def outcome(kind: str, content: bytes) -> None:
    """Read a file; where it is refused, hold the problems to what they promise."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.yaml"
        path.write_bytes(content)
        try:
            READERS[kind][1](path)
        except ConfigError as error:
            assert error.problems  # noqa: PT017 - it may as well be read
            for problem in error.problems:
                assert problem.isprintable(), ascii(problem)
                assert "hunter22" not in problem


@pytest.mark.parametrize("kind", READERS)
def test_the_examples_are_good(kind: str) -> None:
    """What is varied below is right as it is."""
    text, read = READERS[kind]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.yaml"
        path.write_text(text)
        read(path)


@few
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 20), fragments), min_size=1, max_size=4))
@pytest.mark.parametrize("kind", READERS)
def test_a_file_with_slips(kind: str, slips: list[tuple[int, int, str]]) -> None:
    """Characters are lost, and others come in their place, anywhere in a good file."""
    text = READERS[kind][0]
    for place, lost, added in slips:
        start = place % len(text)
        text = text[:start] + added + text[start + lost :]
    outcome(kind, text.encode(errors="surrogatepass"))


@few
@given(st.data())
@pytest.mark.parametrize("kind", READERS)
def test_a_file_with_wrong_values(kind: str, data: st.DataObject) -> None:
    """Anything stands in the place of any value, or under an unknown key."""
    document = yaml.safe_load(READERS[kind][0])
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = document
        while True:
            choices = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = data.draw(st.sampled_from(choices)) if choices else None
            inner = place[key] if choices else None
            if not (isinstance(inner, dict | list) and data.draw(st.booleans())):
                break
            place = inner
        if isinstance(place, dict) and data.draw(st.integers(0, 4)) == 0:
            key = data.draw(keys)
        if key is not None or isinstance(place, dict):
            place[key] = data.draw(values)
    text = yaml.dump(document, allow_unicode=data.draw(st.booleans()), Dumper=yaml.SafeDumper)
    outcome(kind, text.encode(errors="surrogatepass"))


@few
@given(st.binary(max_size=200))
@example(b"\xff\xfea\x00")
@pytest.mark.parametrize("kind", READERS)
def test_a_file_of_bytes(kind: str, content: bytes) -> None:
    """Also what is no text at all."""
    outcome(kind, content)
