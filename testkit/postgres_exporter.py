"""postgres_exporter 0.11.1, Debian's, with a queries.yaml and nothing of its own."""

import shutil
from pathlib import Path
from urllib.request import urlopen

from testkit.debian import program
from testkit.machine import hand_over
from testkit.postgres import Postgres
from testkit.process import Process, free_port

_OWN_METRICS_OFF = (
    "--disable-default-metrics", "--disable-settings-metrics", "--no-collector.database", "--no-collector.bgwriter",
)  # fmt: skip


class PostgresExporter(Process):
    """Serve what a file's queries say of one database."""

    def __init__(self, server: Postgres, database: str, queries: Path) -> None:
        super().__init__("postgres-exporter")
        self.port = free_port()
        self._dsn = server.dsn(database, "monitor")
        self._queries = queries

    def page(self) -> str:
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def _prepare(self) -> None:
        shutil.copy(self._queries, self.folder / "queries.yaml")
        hand_over(self.folder)

    def _command(self) -> list[str]:
        binary = str(program("prometheus-postgres-exporter"))
        listen, queries = f"--web.listen-address=127.0.0.1:{self.port}", self.folder / "queries.yaml"
        return [binary, listen, f"--extend.query-path={queries}", *_OWN_METRICS_OFF]

    def _environment(self) -> dict[str, str]:
        return {"DATA_SOURCE_NAME": f"{self._dsn}?sslmode=disable"}

    def _ready(self) -> bool:
        try:
            return bool(self.page())
        except OSError:
            return False
