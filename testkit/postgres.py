"""PostgreSQL 14 to 18: primaries with a small database to look at, and replicas of them."""

import csv
import hashlib
import io
import shutil
import signal
from pathlib import Path

from testkit.cache import cached
from testkit.machine import CommandError, hand_over, run
from testkit.postgres_programs import VERSIONS, fetch
from testkit.process import Process, free_port

PASSWORDS = {"postgres": "postgres-secret", "monitor": "monitor-secret"}
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "50",
    "shared_buffers": "16MB",
    "fsync": "off",
    "shared_preload_libraries": "pg_stat_statements",
    "track_io_timing": "on",
}
INITDB = ("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--data-checksums", "--no-sync")
_DOCUMENTATION = Path(__file__).parents[1] / "docs/how-to/postgresql.md"


def recommended_role() -> str:
    """Return the statements that the documentation begins with; the tests' role is that one."""
    statements = _DOCUMENTATION.read_text().partition("```sql\n")[2].partition("```")[0]
    return statements.replace("a long random password", PASSWORDS["monitor"])


SETUP = f"""
{recommended_role()}
CREATE DATABASE app;
\\connect app
"""


class Postgres(Process):
    """One PostgreSQL: a primary with the prepared databases, or the replica of another one."""

    stop_signal = signal.SIGINT  # "fast"; SIGTERM would wait for clients to leave

    def __init__(
        self, version: str = "18", settings: dict[str, str] | None = None, primary: "Postgres | None" = None
    ) -> None:
        super().__init__(f"postgres{version}")
        self.version = version
        self.port = free_port()
        self.primary = primary
        self._settings = settings or {}

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return f"postgresql://monitor@127.0.0.1:{self.port}/postgres"

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return a connection string with password; the users are `postgres` (superuser) and `monitor`."""
        return f"postgresql://{user}:{PASSWORDS[user]}@127.0.0.1:{self.port}/{database}"

    def target(self, name: str, **extra: object) -> dict[str, object]:
        """Return the server's entry for `targets:` of the exporter's configuration."""
        return {"name": name, "store": "postgres", "url": self.url, "password": PASSWORDS["monitor"], **extra}

    def replica(self, settings: dict[str, str] | None = None) -> "Postgres":
        """Return a streaming replica with its own slot, not started yet; we must run when it is."""
        return Postgres(self.version, self._settings | (settings or {}), primary=self)

    def psql(self, sql: str, database: str = "postgres", user: str = "postgres") -> list[tuple[str, ...]]:
        """Run SQL and return its rows as text, NULL as an empty one."""
        options = ["-X", "--quiet", "--csv", "--tuples-only", "-v", "ON_ERROR_STOP=1"]
        printed = run(
            [self._program("psql"), *options, self.dsn(database, user)], self.folder, self._environment(), stdin=sql
        )
        return [tuple(row) for row in csv.reader(io.StringIO(printed))]

    def _prepare(self) -> None:
        self._fill_data()
        settings = {"port": str(self.port), "unix_socket_directories": str(self.folder)}
        lines = [f"{key} = '{value}'\n" for key, value in (settings | SETTINGS | self._settings).items()]
        (self.data / "server.conf").write_text("".join(lines))
        self.data.chmod(0o700)
        hand_over(self.data)

    def _fill_data(self) -> None:
        if self.primary is None:
            shutil.copytree(prepared_data(self.version), self.data)
            return
        slot = f"replica_{self.port}"
        options = ["--write-recovery-conf", "--create-slot", "--slot", slot, "--checkpoint=fast", "--no-sync"]
        source = ["--dbname", self.primary.dsn(), "--pgdata", str(self.data)]
        run([self._program("pg_basebackup"), *options, *source], self.folder, self._environment())

    def _environment(self) -> dict[str, str]:
        """Let the server's own extensions find the wheel's libpq: a replica cannot stream with an older one."""
        return {"LD_LIBRARY_PATH": str(self._programs() / "lib")}

    def _command(self) -> list[str]:
        return [self._program("postgres"), "-D", str(self.data)]

    def _ready(self) -> bool:
        try:
            run(
                [self._program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)],
                self.folder,
                self._environment(),
            )
            return self.primary is None or self.primary.pid is None or self._streams()
        except CommandError:
            return False

    def _streams(self) -> bool:
        return self.psql("SELECT status FROM pg_stat_wal_receiver") == [("streaming",)]

    def _programs(self) -> Path:
        return fetch(self.version)

    def _program(self, name: str) -> str:
        return str(self._programs() / "bin" / name)


class BlankPostgres(Postgres):
    """A server straight from initdb, to prepare the data that the others copy."""

    def _fill_data(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORDS["postgres"])
        options = [*INITDB, "--username=postgres", f"--pwfile={password}", f"--pgdata={self.data}"]
        run([self._program("initdb"), *options], self.folder, self._environment())
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("include 'server.conf'\n")


def prepared_data(version: str) -> Path:
    """Return a data folder to copy: initdb's, with the users and the database `app`; made once."""
    recipe = "\n".join([*INITDB, SETUP, _app_sql()])
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    return cached(f"postgres/{VERSIONS[version]}-data-{digest}", lambda place: _prepare_data(version, place)) / "data"


def _prepare_data(version: str, place: Path) -> None:
    with BlankPostgres(version) as server:
        server.psql(SETUP + _app_sql())
        server.stop()
        shutil.copytree(server.data, place / "data")


def _app_sql() -> str:
    return Path(__file__).with_name("app.sql").read_text()
