"""The four stores as victims: what can go wrong with each, and how it is mended."""

import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
from neo4j import GraphDatabase

from testkit.machine import hand_over
from testkit.minio import Minio
from testkit.neo4j import Neo4j
from testkit.postgres import PASSWORDS, Postgres
from testkit.process import Process
from testkit.proxy import Proxy
from testkit.qdrant import Qdrant
from testkit.session import Servers
from tests.support.minio_admin import admin, allow, break_drive, statement
from tests.support.qdrant_admin import Admin

SECRET, OTHER_SECRET = "the-first-secret", "another-secret"
WARM_SECONDS, WARMING = 0.5, 20


class Victim(ABC):
    """One server, watched twice: as it is, and `far`, through a proxy that breaks the network between."""

    store: str
    cap: int  # of connections that a target may hold
    server: Process

    def __init__(self) -> None:
        self.port: int = getattr(self.server, "port")  # noqa: B009 - each kind of server has one, their base has not
        self.proxy = Proxy(self.port)

    @abstractmethod
    def target(self, name: str) -> dict[str, Any]: ...
    @abstractmethod
    def change_secret(self, secret: str) -> None: ...
    @abstractmethod
    def become_another_version(self) -> None: ...

    def start(self) -> None:
        self.server.start()

    def restart(self) -> None:
        self.server.stop()
        self.start()

    def targets(self) -> list[dict[str, Any]]:
        near, far = self.target(self.store), self.target(f"{self.store}-far")
        return [near, {**far, "url": str(far["url"]).replace(f":{self.port}", f":{self.proxy.port}")}]

    def close(self) -> None:
        self.server.close()


class PostgresVictim(Victim):
    store, cap = "postgres", 4

    def __init__(self, servers: Servers) -> None:
        self.server: Postgres = servers.private_postgres("16")
        self._hoard = ExitStack()
        self._log_in_often()
        super().__init__()

    def _log_in_often(self) -> None:
        self.server.psql("ALTER ROLE monitor CONNECTION LIMIT -1")

    def target(self, name: str) -> dict[str, Any]:
        return self.server.target(name)

    def change_secret(self, secret: str) -> None:
        """Change the role's password and end its sessions: a session that is there needs none."""
        password = PASSWORDS["monitor"] if secret == SECRET else secret
        self.server.psql(f"ALTER ROLE monitor PASSWORD '{password}'")
        self.server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'monitor'")

    def become_another_version(self) -> None:
        """Put a server of 17 where that of 16 was: an upgrade as a client sees it."""
        self.server.close()
        self.server = Postgres("17")
        self.server.port = self.port
        self.server.start()
        self._log_in_often()

    def withdraw(self) -> None:
        self.server.psql("REVOKE pg_monitor FROM monitor")

    def grant(self) -> None:
        self.server.psql("GRANT pg_monitor TO monitor")

    def become_a_standby(self) -> None:
        self.server.stop()
        signal = self.server.data / "standby.signal"
        signal.touch()
        hand_over(signal)
        self.server.start()

    def promote(self) -> None:
        self.server.psql("SELECT pg_promote()")

    def fill_up(self) -> None:
        """Take every connection there is, the exporter's, too."""
        sessions = [self._session()]
        while True:
            try:
                sessions.append(self._session())
            except psycopg.OperationalError:
                ended = (
                    sessions[0]
                    .execute("SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = 'monitor'")
                    .fetchall()
                )
                if not ended:
                    return

    def _session(self) -> "psycopg.Connection[Any]":
        return self._hoard.enter_context(psycopg.connect(self.server.dsn(), autocommit=True))

    def empty(self) -> None:
        self._hoard.close()


class Neo4jVictim(Victim):
    store, cap = "neo4j", 3

    def __init__(self, servers: Servers) -> None:
        self.server: Neo4j = servers.private_neo4j("5.26")
        self.start()
        self._add_user()
        super().__init__()

    def start(self) -> None:
        """Start it and ask until it answers readily: a JVM's first answers take seconds, a fault of its own."""
        self.server.start()
        with GraphDatabase.driver(self.server.url, auth=(self.server.user, self.server.password)) as driver:
            for _ in range(WARMING):
                began = time.monotonic()
                for text in ("CALL dbms.components()", "SHOW PROCEDURES", "SHOW DATABASES", "CALL db.stats.status()"):
                    driver.execute_query(text)
                if time.monotonic() - began < WARM_SECONDS:
                    break

    def _add_user(self) -> None:
        self.server.run(f"CREATE USER monitor SET PASSWORD '{SECRET}' CHANGE NOT REQUIRED", "system")

    def target(self, name: str) -> dict[str, Any]:
        return {**self.server.target(name), "user": "monitor", "password": SECRET}

    def change_secret(self, secret: str) -> None:
        """Change the user's password and end its sessions: a session that is there needs none."""
        self.server.run(f"ALTER USER monitor SET PASSWORD '{secret}' CHANGE NOT REQUIRED", "system")
        self.server.run(
            "CALL dbms.listConnections() YIELD connectionId, username WITH connectionId WHERE username = 'monitor' "
            "CALL dbms.killConnection(connectionId) YIELD message RETURN message"
        )

    def become_another_version(self) -> None:
        self.server.close()
        self.server = Neo4j("2026.02")
        self.server.port = self.port
        self.start()
        self._add_user()

    def become_read_only(self) -> None:
        self._restart_with("server.databases.default_to_read_only=true\n")

    def become_writable(self) -> None:
        self._restart_with("")

    def _restart_with(self, setting: str) -> None:
        self.server.stop()
        file = self.server.folder / "conf" / "neo4j.conf"
        lines = [line for line in file.read_text().splitlines() if "read_only" not in line]
        file.write_text("\n".join([*lines, setting]))
        self.start()


class MinioVictim(Victim):
    store, cap = "minio", 4

    def __init__(self, servers: Servers) -> None:
        self.server: Minio = servers.private_minio(4)
        self.grant()
        super().__init__()

    def target(self, name: str) -> dict[str, Any]:
        return {**self.server.target(name), "access_key": "monitor", "secret_key": SECRET}

    def change_secret(self, secret: str) -> None:
        admin(self.server).user_add(access_key="monitor", secret_key=secret)

    def become_another_version(self) -> None:
        raise NotImplementedError("only one version can be built from the module proxy")

    def withdraw(self) -> None:
        self._allow(statement("s3:GetBucketLocation"))

    def grant(self) -> None:
        self._allow(
            statement("s3:GetBucketLocation"),
            statement("admin:Prometheus", "admin:ServerInfo", "admin:DataUsageInfo"),
        )

    def _allow(self, *statements: str) -> None:
        allow(self.server, {"access_key": "monitor", "secret_key": SECRET}, statements)

    def lose_drives(self) -> None:
        for number in (1, 2):
            break_drive(self.server, number)

    def replace_drives(self) -> None:
        self.server.stop()
        for number in (1, 2):
            Path(self.server.folder / f"drive{number}").unlink()
        self.server.start()


class QdrantVictim(Victim):
    store, cap = "qdrant", 4

    def __init__(self, servers: Servers) -> None:
        self.server: Qdrant = servers.private_qdrant(SECRET)
        Admin(self.server).create("docs")
        super().__init__()

    def target(self, name: str) -> dict[str, Any]:
        return {**self.server.target(name), "api_key": SECRET}

    def change_secret(self, secret: str) -> None:
        self.server.stop()
        self.server.api_key = secret
        self.server.start()

    def become_another_version(self) -> None:
        self.server.stop()
        self.server.version = "1.17.0"
        self.server.start()

    def withdraw(self) -> None:
        self.server.scene(refuse=dict.fromkeys(("/telemetry", "/metrics", "/cluster"), 403))

    def turn_red(self) -> None:
        self.server.scene(status={"docs": "red"})

    def recover(self) -> None:
        self.server.scene()
