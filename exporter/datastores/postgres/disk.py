"""How full the server's disk is, which the server itself does not tell: its size is the user's to say."""

from collections.abc import Sequence
from typing import Any

from exporter.datastores.base import Operation, Params
from exporter.query import Row

_USED = """
SELECT
    (SELECT sum(pg_tablespace_size(oid)) FROM pg_tablespace)::float8
    + (SELECT coalesce(sum(size), 0) FROM pg_ls_waldir())::float8 AS used
"""


async def _disk(session: Any, _params: Params, _state: None) -> Sequence[Row]:
    [row] = await session.rows(_USED)
    size: float = session.target.disk_size
    return [{"used": row["used"], "size": size, "used_ratio": row["used"] / size}]


DISK = Operation(_disk)
