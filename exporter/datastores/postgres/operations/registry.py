"""The operations of query files for PostgreSQL; loads no driver."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from exporter.datastores.accumulators import IntervalRatios
from exporter.datastores.postgres.operations.archiving import ARCHIVING
from exporter.datastores.postgres.operations.bloat import INDEX_BLOAT, TABLE_BLOAT
from exporter.datastores.postgres.operations.databases import DATABASES
from exporter.datastores.postgres.operations.expectations import EXPECTATIONS
from exporter.datastores.postgres.operations.indexes import INDEXES_UNUSED
from exporter.datastores.postgres.operations.login_probe import LOGIN
from exporter.datastores.postgres.operations.patroni import PATRONI
from exporter.datastores.postgres.operations.sampler import ACTIVITY_SAMPLER
from exporter.datastores.postgres.operations.sequences import SEQUENCES
from exporter.datastores.postgres.operations.settings import SETTINGS
from exporter.datastores.postgres.operations.slow_statements import SLOW_STATEMENTS
from exporter.datastores.postgres.operations.statement_texts import STATEMENT_TEXTS
from exporter.datastores.postgres.operations.statements import STATEMENTS, STATEMENTS_INFO
from exporter.datastores.postgres.operations.top_relations import TOP_RELATIONS
from exporter.datastores.postgres.session import OperationSession
from exporter.errors import QueryError
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

Key = tuple[tuple[str, object], ...]


class RatioParams(Params):
    """The statement's columns: `part` and `rest` hold counters, all others identify a row."""

    sql: str
    part: str
    rest: str


async def _interval_ratio(session: OperationSession, params: RatioParams, ratios: IntervalRatios[Key]) -> Sequence[Row]:
    """Return each row with `ratio`, the share of part in part and rest since the last poll, and both counted on."""
    counters: dict[Key, tuple[float, float]] = {}
    for row in await session.given_rows(params.sql):
        key = tuple((name, value) for name, value in row.items() if name not in (params.part, params.rest))
        counters[key] = (row[params.part] or 0.0, row[params.rest] or 0.0)
    return [
        {**dict(key), params.part: interval.part, params.rest: interval.rest, "ratio": interval.ratio}
        for key, interval in ratios.update(counters).items()
    ]


_USED = """
SELECT
    (SELECT sum(pg_tablespace_size(oid)) FROM pg_tablespace)::float8
    + (SELECT coalesce(sum(size), 0) FROM pg_ls_waldir())::float8 AS used
"""


async def _disk(session: OperationSession, _params: Params, _state: None) -> Sequence[Row]:
    [row] = await session.rows(_USED)
    size = session.target.disk_size
    assert size is not None, "the target has no disk_size"  # noqa: S101 - its query has `when: configured`
    return [{"used": row["used"], "size": size, "used_ratio": row["used"] / size}]


class ExtensionParams(Params):
    """In the statement {function} stands for a function of the extension, which is named with its arguments' types."""

    extension: str
    function: str
    sql: str


async def _extension(session: OperationSession, params: ExtensionParams, _state: None) -> Sequence[Row]:
    extension = (await session.extensions()).get(params.extension)
    if extension is None:
        raise QueryError("unsupported", f"extension {params.extension} is not installed")
    return await session.given_rows(params.sql.replace("{function}", extension.function(params.function)))


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "activity_sampler": ACTIVITY_SAMPLER,
        "archiving": ARCHIVING,
        **EXPECTATIONS,
        "databases": DATABASES,
        "disk": Operation(_disk),
        "extension": Operation(_extension, ExtensionParams),
        "heaviest": TOP_RELATIONS,
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
