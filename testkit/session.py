"""The servers of one pytest session: each started at most once, those that a module's tests announce side by side.

A test announces what it will ask for with `@pytest.mark.servers("postgres:18", "neo4j:5.26")`; an unannounced
server starts when it is asked for.
"""

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, Protocol, Self, TypeVar, cast

import pytest

from testkit import Server, Unavailable
from testkit.barman import Barman
from testkit.minio import Minio
from testkit.neo4j import Neo4j
from testkit.pgbackrest import Pgbackrest
from testkit.pgbouncer import Pgbouncer
from testkit.pgvector import VectorPostgres
from testkit.postgres import Postgres
from testkit.prometheus import Alertmanager, Job, Prometheus
from testkit.qdrant import Qdrant
from testkit.running import running

REQUIRED_ON_CI = ("postgres", "replica", "neo4j", "minio", "promtool", "prometheus", "alertmanager", "amtool")
SLOWEST_FIRST = ("minio", "neo4j", "postgres", "replica", "qdrant")

S = TypeVar("S")
P = TypeVar("P", bound="Startable")


class Startable(Protocol):
    def start(self) -> Self: ...
    def close(self) -> None: ...


class Servers:
    """Shared servers by kind and version, and private ones for tests that stop or freeze theirs.

    A server whose `<STORE>_TEST_URL` is set is used instead of a shared one of the same version.
    """

    def __init__(self) -> None:
        self._closing = ExitStack()
        self._known: dict[str, Server | Exception] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="servers")

    def announce(self, names: Iterable[str]) -> None:
        """Begin to start what will be asked for soon."""
        for name in sorted(names, key=lambda name: SLOWEST_FIRST.index(name.partition(":")[0])):
            if name not in self._known:
                self._pool.submit(self._started, name)

    def postgres(self, version: str = "18") -> Postgres:
        return self._ask(f"postgres:{version}", Postgres)

    def replica(self, version: str = "18") -> Postgres:
        """Return a streaming replica of `postgres(version)`."""
        return self._ask(f"replica:{version}", Postgres)

    def neo4j(self, version: str = "5.26") -> Neo4j:
        return self._ask(f"neo4j:{version}", Neo4j)

    def minio(self, drives: int = 1) -> Minio:
        return self._ask(f"minio:{drives}", Minio)

    def private_postgres(self, version: str = "18", settings: dict[str, str] | None = None) -> Postgres:
        return self._private(f"postgres:{version}", partial(Postgres, version, settings))

    def private_vector_postgres(self) -> VectorPostgres:
        return self._private("pgvector", VectorPostgres)

    def private_neo4j(self, version: str = "5.26", settings: dict[str, str] | None = None) -> Neo4j:
        return self._private(f"neo4j:{version}", partial(Neo4j, version, settings))

    def private_minio(self, drives: int = 1, environment: dict[str, str] | None = None) -> Minio:
        return self._private(f"minio:{drives}", partial(Minio, drives, environment))

    def private_pgbouncer(self, server: Postgres, settings: dict[str, str] | None = None) -> Pgbouncer:
        return self._private("pgbouncer", partial(Pgbouncer, server, settings))

    def private_pgbackrest(self, settings: Mapping[str, str] | None = None) -> Pgbackrest:
        return self._private("pgbackrest", partial(Pgbackrest, settings))

    def private_barman(self, version: str = "18") -> Barman:
        return self._private("barman", partial(Barman, version))

    def qdrant(self) -> Qdrant:
        return self._ask("qdrant", Qdrant)

    def private_qdrant(self, api_key: str | None = None, read_only_key: str | None = None) -> Qdrant:
        return self._private("qdrant", partial(Qdrant, api_key, read_only_key))

    def private_prometheus(
        self,
        *jobs: Job,
        rules: Mapping[str, str] | None = None,
        alertmanager: int | None = None,
        seconds: int = 1,
    ) -> Prometheus:
        return self._private("prometheus", partial(Prometheus, jobs, rules, alertmanager, seconds=seconds))

    def private_alertmanager(self, config: Mapping[str, Any], templates: Path) -> Alertmanager:
        return self._private("alertmanager", partial(Alertmanager, config, templates))

    def skip(self, name: str, reason: str) -> NoReturn:
        """Skip the test because something is missing, or fail it on CI when that must be there."""
        if os.environ.get("CI") == "true" and name.partition(":")[0] in REQUIRED_ON_CI:
            pytest.fail(f"{name} must be there on CI: {reason}", pytrace=False)
        pytest.skip(f"{name}: {reason}")

    def close(self) -> None:
        """End all of them, also those that other processes started."""
        self._pool.shutdown(cancel_futures=True)
        self._closing.close()

    def _ask(self, name: str, kind: type[S]) -> S:
        server = self._started(name)
        if isinstance(server, Unavailable):
            self.skip(name, str(server))
        if isinstance(server, Exception):
            raise server
        if not isinstance(server, kind):
            raise TypeError(f"{name} is a {type(server).__name__}, not a {kind.__name__}")
        return server

    def _private(self, name: str, make: Callable[[], P]) -> P:
        """Return a started server for one test, which ends it with `with` or leaves it to the session's end."""
        server = make()
        self._closing.callback(server.close)
        try:
            return server.start()
        except Unavailable as reason:
            self.skip(name, str(reason))

    def _started(self, name: str) -> Server | Exception:
        """Return the started server, or why there is none; the second to ask waits for the first."""
        with self._locks.setdefault(name, threading.Lock()):
            if name not in self._known:
                self._known[name] = self._begin(name)
            return self._known[name]

    def _begin(self, name: str) -> Server | Exception:
        try:
            server = running(name) or self._build(name)
            self._closing.callback(server.close)
            return server.start()
        except Exception as error:  # noqa: BLE001 - it goes to every test that asks for this server
            return error

    def _primary(self, version: str) -> Postgres:
        primary = self._started(f"postgres:{version}")
        if isinstance(primary, Exception):
            raise primary
        return cast("Postgres", primary)

    def _build(self, name: str) -> Server:
        kind, _, version = name.partition(":")
        if kind == "replica":
            return self._primary(version).replica()
        builders: dict[str, Callable[[], Server]] = {
            "postgres": lambda: Postgres(version),
            "neo4j": lambda: Neo4j(version),
            "minio": lambda: Minio(int(version)),
            "qdrant": Qdrant,
        }
        return builders[kind]()
