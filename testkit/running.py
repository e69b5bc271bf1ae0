"""Servers that somebody else runs, named by `<STORE>_TEST_URL`, in the shape of ours.

They stand in for a shared server of their own version. They are not ours to stop: a test that does is skipped.
"""

import os
from collections.abc import Callable
from typing import NoReturn, Self
from urllib.parse import SplitResult, unquote, urlsplit

import pytest

from testkit import Server, Unavailable
from testkit.minio import Minio
from testkit.neo4j import Neo4j
from testkit.postgres import Postgres
from testkit.process import Process
from testkit.qdrant import Qdrant


def running(name: str) -> Server | None:
    """Return the server of the environment that can be `name` (kind:version), or None."""
    kind, _, version = name.partition(":")
    url = os.environ.get(f"{kind.upper()}_TEST_URL")
    return STAND_INS[kind](urlsplit(url), version) if url and kind in STAND_INS else None


class _NotOurs(Process):
    def start(self) -> Self:
        return self

    def restart(self) -> Self:
        self._refuse()

    def stop(self, seconds: float = 0) -> None:  # noqa: ARG002 - the parent's signature
        self._refuse()

    def kill(self) -> None:
        self._refuse()

    def freeze(self) -> None:
        self._refuse()

    def thaw(self) -> None: ...

    def close(self) -> None: ...

    def _refuse(self) -> NoReturn:
        pytest.skip(f"the {self.kind} of the environment is not ours to stop")


class RunningPostgres(_NotOurs, Postgres):
    """The PostgreSQL of POSTGRES_TEST_URL; every role is the URL's user."""

    def __init__(self, url: SplitResult) -> None:
        super().__init__()
        self.port = url.port or 5432
        self._given = url
        self.version = str(int(self.psql("SHOW server_version_num")[0][0]) // 10000)

    @property
    def url(self) -> str:
        return self._given.geturl()

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:  # noqa: ARG002 - the parent's
        return self._given._replace(path=f"/{database}").geturl()

    def replica(self, settings: dict[str, str] | None = None) -> Postgres:  # noqa: ARG002 - the parent's
        raise Unavailable("the PostgreSQL of POSTGRES_TEST_URL gets no replica")

    def target(self, name: str, **extra: object) -> dict[str, object]:
        return {"name": name, "store": "postgres", "url": self.url, **extra}


class RunningNeo4j(_NotOurs, Neo4j):
    """The Neo4j of NEO4J_TEST_URL: bolt://user:password@host:port."""

    def __init__(self, url: SplitResult) -> None:
        super().__init__()
        self.port = url.port or 7687
        self.user, self.password = _login(url)
        self._given = _without_login(url)
        self.version = str(self.run("CALL dbms.components()")[0]["versions"][0])

    @property
    def url(self) -> str:
        return self._given


class RunningMinio(_NotOurs, Minio):
    """The MinIO of MINIO_TEST_URL: http://access_key:secret_key@host:port."""

    def __init__(self, url: SplitResult) -> None:
        super().__init__()
        self.port = url.port or (443 if url.scheme == "https" else 80)
        self.access_key, self.secret_key = _login(url)
        self._given = _without_login(url)

    @property
    def url(self) -> str:
        return self._given


class RunningQdrant(_NotOurs, Qdrant):
    """The Qdrant of QDRANT_TEST_URL: http://:api_key@host:port; it plays no scenes."""

    def __init__(self, url: SplitResult) -> None:
        super().__init__(api_key=_login(url)[1] or None)
        self._given = _without_login(url)

    @property
    def url(self) -> str:
        return self._given

    def scene(self, **changes: object) -> None:
        pytest.skip(f"a real Qdrant does not play {', '.join(changes)}")


def _postgres(url: SplitResult, version: str) -> Server | None:
    server = RunningPostgres(url)
    return server if server.version == version else None


def _neo4j(url: SplitResult, version: str) -> Server | None:
    server = RunningNeo4j(url)
    return server if server.version.startswith(version) else None


def _minio(url: SplitResult, drives: str) -> Server | None:
    return RunningMinio(url) if drives == "1" else None


def _qdrant(url: SplitResult, _: str) -> Server | None:
    return RunningQdrant(url)


def _login(url: SplitResult) -> tuple[str, str]:
    return unquote(url.username or ""), unquote(url.password or "")


def _without_login(url: SplitResult) -> str:
    return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()


STAND_INS: dict[str, Callable[[SplitResult, str], Server | None]] = {
    "postgres": _postgres,
    "neo4j": _neo4j,
    "minio": _minio,
    "qdrant": _qdrant,
}
