"""What SQL alone cannot say about a PostgreSQL server; nothing here knows the driver."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from exporter.accumulate import IntervalRatios
from exporter.datastores.base import Operation, Params
from exporter.datastores.postgres.bloat import INDEX_BLOAT, TABLE_BLOAT
from exporter.datastores.postgres.databases import DATABASES
from exporter.datastores.postgres.disk import DISK
from exporter.datastores.postgres.expectations import EXPECTATIONS
from exporter.datastores.postgres.extension import EXTENSION
from exporter.datastores.postgres.heaviest import HEAVIEST
from exporter.datastores.postgres.indexes import INDEXES_UNUSED
from exporter.datastores.postgres.login import LOGIN
from exporter.datastores.postgres.patroni import PATRONI
from exporter.datastores.postgres.sampler import ACTIVITY_SAMPLER
from exporter.datastores.postgres.sequences import SEQUENCES
from exporter.datastores.postgres.settings import SETTINGS
from exporter.datastores.postgres.slow_statements import SLOW_STATEMENTS
from exporter.datastores.postgres.statement_texts import STATEMENT_TEXTS
from exporter.datastores.postgres.statements import STATEMENTS, STATEMENTS_INFO
from exporter.query import Row

Key = tuple[tuple[str, object], ...]


class RatioParams(Params):
    """The statement's columns: `part` and `rest` hold counters, all others tell its rows apart."""

    sql: str
    part: str
    rest: str


async def _interval_ratio(session: Any, params: RatioParams, ratios: IntervalRatios[Key]) -> Sequence[Row]:
    """Return each row with `ratio`, the share of part in part and rest since the last poll, and both counted on."""
    counters: dict[Key, tuple[float, float]] = {}
    for row in await session.given_rows(params.sql):
        key = tuple((name, value) for name, value in row.items() if name not in (params.part, params.rest))
        counters[key] = (row[params.part] or 0.0, row[params.rest] or 0.0)
    return [
        {**dict(key), params.part: interval.part, params.rest: interval.rest, "ratio": interval.ratio}
        for key, interval in ratios.update(counters).items()
    ]


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "activity_sampler": ACTIVITY_SAMPLER,
        **EXPECTATIONS,
        "databases": DATABASES,
        "disk": DISK,
        "extension": EXTENSION,
        "heaviest": HEAVIEST,
        "index_bloat": INDEX_BLOAT,
        "indexes_unused": INDEXES_UNUSED,
        "interval_ratio": Operation(_interval_ratio, RatioParams, IntervalRatios),
        "login": LOGIN,
        **PATRONI,
        "sequences": SEQUENCES,
        "settings": SETTINGS,
        "slow_statements": SLOW_STATEMENTS,
        "statement_texts": STATEMENT_TEXTS,
        "statements": STATEMENTS,
        "statements_info": STATEMENTS_INFO,
        "table_bloat": TABLE_BLOAT,
    }
)
