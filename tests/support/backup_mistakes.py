"""A configuration with a place of each kind, and what is said of it when a part of it is replaced."""

from pathlib import Path

import pytest

from exporter.errors import ConfigError
from exporter.settings import ConfigLoader

TEXT = """\
targets:
  - {name: orders, store: postgres, url: "postgresql://u@h/db"}
  - {name: invoices, store: postgres, url: "postgresql://u@h/db"}
  - {name: graph, store: neo4j, url: "bolt://h"}
  - {name: objects, store: minio, url: "http://h:9000", access_key: reader, secret_key: s3cr3t}
  - {name: pool, store: pgbouncer, url: "postgresql://u@h/pgbouncer"}
  - {name: search, store: qdrant, url: "http://h:6333", snapshots: {every: 1d, keep: {daily: 7}}}
  - name: nas
    store: backups
    url: file:///backups
    sets:
      - {name: dumps, of: orders, files: "*.dump", format: pg_dump, every: 1d, keep: {daily: 30}, size: {min: 1MiB}}
      - {name: graphs, of: graph, files: "neo4j/*.dump", every: 1d}
      - {name: tests, of: orders, files: "tests.json", format: report, every: 7d, duration: 15m}
  - name: vault
    store: backups
    url: s3://objects/backups
    sets:
      - {name: base, of: orders, files: "backup/demo/", format: pgbackrest, every: 7d}
      - {name: wal, of: orders, files: "archive/demo/", format: wal, every: 5m, keep: 7d, base: base}
  - name: offsite
    store: backups
    url: https://s3.example/apex-dr
    access_key: dr-reader
    secret_key: dr-s3cr3t
    sets:
      - {name: copies, of: orders, files: "*.dump", copy_of: nas/dumps, every: 1d, encrypted: true}
      - {name: mirror, of: objects, files: "documents/", copy_of: objects/documents, every: 1h}
"""
_SETS = {"dumps": (6, 0), "graphs": (6, 1), "tests": (6, 2), "base": (7, 0), "wal": (7, 1)} | {
    "copies": (8, 0), "mirror": (8, 1)
}  # fmt: skip


def replaced(*changes: tuple[str, str]) -> str:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def problems(folder: Path, text: str) -> list[str]:
    """Return the problems of a configuration, as in `12: dumps.keep: …`: line, set or place, key, message."""
    path = folder / "datatier.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(path).load()
    found = [problem.removeprefix(f"{path}:") for problem in caught.value.problems]
    for name, (target, index) in _SETS.items():
        found = [problem.replace(f"targets.{target}.sets.{index}", name) for problem in found]
    for index, name in enumerate(("search", "nas", "vault", "offsite"), 5):
        found = [problem.replace(f" targets.{index}", f" {name}") for problem in found]
    return found
