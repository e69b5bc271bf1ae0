"""The backups of the shop: a job that dumps its database into a folder, and breaks after a while."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from testkit.postgres import Postgres
from testkit.postgres_programs import fetch

FOLDER = "backups"  # below that of the server
EVERY, GRACE = "1m", "15s"
_PAUSE_SECONDS = 20.0
_DUMPS = 4  # until the job breaks
_KEPT = 3


def place(server: Postgres, of: str) -> Mapping[str, object]:
    """Return the entry for `targets:` that watches the folder; it is not required, so that /health only warns."""
    dumps = {"name": "shop-dump", "of": of, "files": "shop_*.dump", "format": "pg_dump", "every": EVERY, "grace": GRACE}
    url = (server.folder / FOLDER).as_uri()
    return {"name": "nas", "store": "backups", "url": url, "required": False, "timezone": "UTC", "sets": [dumps]}


async def dump_and_break(server: Postgres) -> None:
    """Dump four times, keep three; then stop, as a job does whose credentials have expired, and nobody hears of it."""
    for _ in range(_DUMPS):
        await dump(server)
        await asyncio.sleep(_PAUSE_SECONDS)
    await asyncio.Event().wait()


async def dump(server: Postgres) -> None:
    """Write one dump under another name, and rename it when it is complete, as a careful job does."""
    folder = server.folder / FOLDER
    folder.mkdir(exist_ok=True)
    unfinished = folder / "unfinished"
    process = await asyncio.create_subprocess_exec(
        fetch(server.version) / "bin" / "pg_dump", "-Fc", "-f", unfinished, server.dsn("app"),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        env={"LD_LIBRARY_PATH": str(fetch(server.version) / "lib")},
    )  # fmt: skip
    if await process.wait() == 0:
        unfinished.rename(folder / f"shop_{datetime.now(UTC):%Y%m%d_%H%M%S}.dump")
    for old in _dumps(folder)[:-_KEPT]:
        old.unlink(missing_ok=True)


def _dumps(folder: Path) -> list[Path]:
    return sorted(folder.glob("shop_*.dump"))
