"""The descriptor of PgBouncer, and how its targets are configured."""

from typing import Literal

from exporter.config.libpq.conninfo import conninfo, written_parameters
from exporter.config.stores.store import Store
from exporter.config.targets import LibpqTarget


class PgbouncerTarget(LibpqTarget):
    """A PgBouncer; the URL names its console, the database `pgbouncer`."""

    store: Literal["pgbouncer"]

    holds_data = False

    @classmethod
    def check_url(cls, text: str) -> None:
        if conninfo(text).database != "pgbouncer":
            raise ValueError("the console is the database pgbouncer: write postgresql://USER@HOST:PORT/pgbouncer")
        if dict(written_parameters(text)).get("target_session_attrs", "any") != "any":
            raise ValueError("target_session_attrs: a console is neither a primary nor a standby: leave it out")


STORE = Store(
    name="pgbouncer",
    package="exporter.datastores.pgbouncer",
    target=PgbouncerTarget,
    variables={
        "url": ("PGBOUNCER_URL",),
        "password": ("PGBOUNCER_PASSWORD",),
        "password_file": ("PGBOUNCER_PASSWORD_FILE",),
    },
    up="pgbouncer_up",
    prefixes=("pgbouncer_",),
    dashboard="postgres",
    keeps_sessions=True,
)
