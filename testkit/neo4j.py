"""Neo4j Community 5.26 and 2026.02, with the password set and nothing else in it."""

import shutil
import socket
import subprocess
from functools import cache, partial
from pathlib import Path
from typing import Any

from testkit import Unavailable
from testkit.cache import cached, folder
from testkit.machine import hand_over, run
from testkit.neo4j_programs import VERSIONS, jars, java, java_version
from testkit.process import Process, StartError, free_port

MAIN_CLASSES = {
    "5.26": "org.neo4j.server.CommunityEntryPoint",
    "2026.02": "org.neo4j.server.Neo4jCommunity",
}
OPENED_PACKAGES = ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent")
FIRST_PASSWORD = "neo4j"
_ARCHIVE = "classes.jsa"
_RECORDING_SECONDS = 180.0


class Neo4j(Process):
    """One Neo4j server with the database `neo4j`."""

    start_seconds = 180.0

    def __init__(self, version: str = "5.26", settings: dict[str, str] | None = None) -> None:
        super().__init__(f"neo4j{version}")
        self.version = version
        self.port = free_port()
        self.http_port = free_port()
        self.user = "neo4j"
        self.password = "neo4j-secret"
        self._settings = settings or {}

    @property
    def url(self) -> str:
        return f"bolt://127.0.0.1:{self.port}"

    def target(self, name: str, **extra: object) -> dict[str, object]:
        """Return the server's entry for `targets:` of the exporter's configuration."""
        login = {"user": self.user, "password": self.password}
        return {"name": name, "store": "neo4j", "url": self.url, **login, **extra}

    def run(self, cypher: str, database: str | None = None, **parameters: object) -> list[dict[str, Any]]:
        """Run Cypher in a transaction of its own and return its rows."""
        return self._run_as(self.password, cypher, database, parameters)

    def dump(self) -> Path:
        """Dump the database `neo4j` as neo4j-admin does; the server must be stopped."""
        place = self.folder / "dumps"
        place.mkdir(exist_ok=True)
        hand_over(place)
        program = ["-cp", f"{jars(self.version)}/*", "org.neo4j.cli.AdminTool", "database", "dump", "neo4j"]
        command = [java(self.version), "-Xmx512m", *program, f"--to-path={place}", "--overwrite-destination=true"]
        run(command, self.folder, {"NEO4J_HOME": str(self.folder), "NEO4J_CONF": str(self.folder / "conf")})
        return place / "neo4j.dump"

    def _run_as(
        self, password: str, cypher: str, database: str | None, parameters: dict[str, object]
    ) -> list[dict[str, Any]]:
        from neo4j import GraphDatabase  # noqa: PLC0415 - who only starts servers need not have the driver

        login = (self.user, password)
        with GraphDatabase.driver(self.url, auth=login) as driver, driver.session(database=database) as session:
            return [record.data() for record in session.run(cypher, parameters)]

    def _prepare(self) -> None:
        folders = {f"server.directories.{kind}": kind for kind in ("data", "logs", "run", "plugins")}
        folders["server.directories.transaction.logs.root"] = "transactions"
        settings = {key: str(self.folder / place) for key, place in folders.items()} | {
            "server.bolt.listen_address": f"127.0.0.1:{self.port}",
            "server.http.listen_address": f"127.0.0.1:{self.http_port}",
            "server.https.enabled": "false",
            "server.memory.pagecache.size": "64m",
            "dbms.usage_report.enabled": "false",
            "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",  # spares 10 s at every stop
        }
        (self.folder / "conf").mkdir()
        lines = [f"{key}={value}\n" for key, value in (settings | self._settings).items()]
        (self.folder / "conf" / "neo4j.conf").write_text("".join(lines))

    def _command(self) -> list[str]:
        opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED_PACKAGES]
        quick = ["-Xms128m", "-Xmx512m", "-XX:TieredStopAtLevel=1", *self._archive()]
        program = ["-cp", f"{jars(self.version)}/*", MAIN_CLASSES[self.version]]
        folders = [f"--home-dir={self.folder}", f"--config-dir={self.folder / 'conf'}", "--console-mode"]
        return [java(self.version), *quick, *opens, *program, *folders]

    def _archive(self) -> list[str]:
        archive = folder() / _archive_name(self.version) / _ARCHIVE
        return [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []

    def _ready(self) -> bool:
        from neo4j.exceptions import DriverError, Neo4jError  # noqa: PLC0415

        socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        try:
            self._log_in()
        except (DriverError, Neo4jError):
            return False
        return True

    def _log_in(self) -> None:
        """Log in; a new server has the password that everyone knows and demands that it be changed."""
        from neo4j.exceptions import AuthError  # noqa: PLC0415

        try:
            self.run("RETURN 1")
            self.run("SHOW DATABASES", "system")  # each poll begins with it, and a cold JVM takes seconds for the first
        except AuthError:
            change = "ALTER CURRENT USER SET PASSWORD FROM $first TO $ours"
            self._run_as(FIRST_PASSWORD, change, "system", {"first": FIRST_PASSWORD, "ours": self.password})


class _Recorded(Neo4j):
    """A server that writes down, when it ends, which classes it has loaded."""

    def __init__(self, version: str, base: Path) -> None:
        super().__init__(version)
        self._base = base

    def _archive(self) -> list[str]:
        return [f"-XX:SharedArchiveFile={self._base}", f"-XX:ArchiveClassesAtExit={self.folder / _ARCHIVE}"]


def archive_classes(version: str) -> None:
    """Keep a version's classes as Java wants them: a start then takes half the time and a third of the CPU."""
    program = java(version)
    try:
        # the wheel's Java comes without the archive of its own classes that all others build upon
        base = cached(f"java/{java_version(program)}-classes", partial(_archive_own, program))
        cached(_archive_name(version), partial(_archive_loaded, version, base / _ARCHIVE))
    except (OSError, subprocess.SubprocessError, StartError) as error:
        raise Unavailable(f"the classes of Neo4j {version} cannot be archived: {error}") from error


def _archive_own(program: str, place: Path) -> None:
    command = [program, "-Xshare:dump", f"-XX:SharedArchiveFile={place / _ARCHIVE}"]
    subprocess.run(command, check=True, capture_output=True)


def _archive_loaded(version: str, base: Path, place: Path) -> None:
    with _Recorded(version, base) as server:
        server.stop(_RECORDING_SECONDS)
        shutil.copy2(server.folder / _ARCHIVE, place)


@cache
def _archive_name(version: str) -> str:
    """Name the archive's place in the cache: it is good for one version of Neo4j and one of Java."""
    return f"neo4j/{VERSIONS[version]}-java-{java_version(java(version))}"
