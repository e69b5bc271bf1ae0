"""PgBouncer in front of a PostgreSQL, from its Debian package."""

import socket

from testkit.debian import libraries, program
from testkit.machine import hand_over
from testkit.postgres import PASSWORDS, Postgres
from testkit.process import Process, free_port

USERS = PASSWORDS | {"app": "app-secret"}  # "monitor" may look at the console, "postgres" administers it, "app" neither


class Pgbouncer(Process):
    """One PgBouncer that knows the databases `postgres` and `app`, and `tight`: `app` with a pool of one connection."""

    def __init__(self, server: Postgres, settings: dict[str, str] | None = None) -> None:
        super().__init__("pgbouncer")
        self.server = server
        self.port = free_port()
        self._settings = settings or {}

    def dsn(self, database: str = "pgbouncer", user: str = "postgres") -> str:
        return f"postgresql://{user}:{USERS[user]}@127.0.0.1:{self.port}/{database}"

    def target(self, name: str, **extra: object) -> dict[str, object]:
        """Return the console's entry for `targets:` of the exporter's configuration."""
        url = f"postgresql://monitor@127.0.0.1:{self.port}/pgbouncer"
        return {"name": name, "store": "pgbouncer", "url": url, "password": USERS["monitor"], **extra}

    def server_target(self, name: str, **extra: object) -> dict[str, object]:
        """Return the entry of the server behind, reached through the pools."""
        url = f"postgresql://monitor@127.0.0.1:{self.port}/postgres"
        return self.server.target(name, url=url, via_pgbouncer=True, **extra)

    def _prepare(self) -> None:
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": "users.txt",
            "admin_users": "postgres",
            "stats_users": "monitor",
            "pool_mode": "transaction",
        } | self._settings
        behind = f"host=127.0.0.1 port={self.server.port}"
        databases = {
            "postgres": behind,
            "app": behind,
            "tight": f"{behind} dbname=app pool_size=1",
        }
        lines = ["[databases]", *(f"{name} = {value}" for name, value in databases.items())]
        lines += ["[pgbouncer]", *(f"{name} = {value}" for name, value in settings.items())]
        (self.folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        (self.folder / "users.txt").write_text("".join(f'"{name}" "{word}"\n' for name, word in USERS.items()))
        hand_over(self.folder)

    def _environment(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": libraries(program("pgbouncer"))}

    def _command(self) -> list[str]:
        return [str(program("pgbouncer")), "pgbouncer.ini"]

    def _ready(self) -> bool:
        socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        return True
