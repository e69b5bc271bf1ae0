"""Rows of what SHOW returns: columns by name, as versions differ in them; seconds instead of microseconds.

A column that this version does not have is None. https://www.pgbouncer.org/usage.html
"""

from collections.abc import Mapping, Sequence

from exporter.errors import QueryError
from exporter.queries.query import Row

_MOST_POOLS = 500  # with series of their own: those in which most happens

_POOL_COLUMNS = (
    "cl_active", "cl_waiting", "cl_active_cancel_req", "cl_waiting_cancel_req",
    "sv_active", "sv_active_cancel", "sv_being_canceled", "sv_idle", "sv_used", "sv_tested", "sv_login",
)  # fmt: skip
_BUSY_SERVERS = ("sv_active", "sv_active_cancel", "sv_being_canceled", "sv_tested", "sv_login")
_DATABASE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "pool_size": ("pool_size",),
    "reserve_pool": ("reserve_pool", "reserve_pool_size"),
    "max_connections": ("max_connections",),
    "current_connections": ("current_connections",),
    "paused": ("paused",),
    "disabled": ("disabled",),
}
_STATS_COLUMNS = (
    "total_xact_count", "total_query_count", "total_received", "total_sent", "total_server_assignment_count",
    "total_client_parse_count", "total_server_parse_count", "total_bind_count",
)  # fmt: skip
_STATS_TIMES = ("total_xact_time", "total_query_time", "total_wait_time")
_LISTS = (
    "databases", "users", "pools", "free_clients", "used_clients", "login_clients", "free_servers", "used_servers",
    "dns_names", "dns_zones", "dns_queries",
)  # fmt: skip
_CONFIG = ("max_client_conn", "default_pool_size", "max_db_connections", "max_user_connections", "query_wait_timeout")


def pool_rows(pools: Sequence[Row], databases: Sequence[Row]) -> Sequence[Row]:
    """Return a row a pool: a database and a user; used_ratio is None where the pool has no size."""
    return [
        {
            "database": pool["database"],
            "user": pool["user"],
            **{column: _number(pool, column) for column in _POOL_COLUMNS},
            "maxwait": max_wait(pool),
            "used_ratio": ratio,
        }
        for pool, ratio in sorted(_with_ratios(pools, databases), key=lambda entry: _activity(entry[0]), reverse=True)
    ][:_MOST_POOLS]


def worst_pool_rows(pools: Sequence[Row], databases: Sequence[Row]) -> Sequence[Row]:
    """Return one row with the largest share of a pool's size that is in use: 0 without any pool."""
    ratios = (ratio for _, ratio in _with_ratios(pools, databases) if ratio is not None)
    return [{"used_ratio": max(ratios, default=0.0)}]


def max_wait(pool: Row) -> float:
    """Return how long the pool's first client in the queue has waited so far."""
    return (_number(pool, "maxwait") or 0.0) + (_number(pool, "maxwait_us") or 0.0) / 1e6


def waiting(pools: Sequence[Row]) -> dict[tuple[str, str], tuple[float, float]]:
    """Return how many clients of each pool wait, and how long the first one has."""
    return {
        (str(pool["database"]), str(pool["user"])): (_number(pool, "cl_waiting") or 0.0, max_wait(pool))
        for pool in pools
    }


def waited_rows(maxima: Mapping[tuple[str, str], tuple[float, ...]]) -> list[Row]:
    worst_first = sorted(maxima.items(), key=lambda entry: (-entry[1][1], -entry[1][0], entry[0]))
    return [
        {"database": database, "user": user, "clients": clients, "seconds": seconds}
        for (database, user), (clients, seconds) in worst_first[:_MOST_POOLS]
    ]


def stats_rows(stats: Sequence[Row]) -> list[Row]:
    return [
        {
            "database": row["database"],
            **{column: _number(row, column) for column in _STATS_COLUMNS},
            **{column: _seconds(row, column) for column in _STATS_TIMES},
        }
        for row in stats
    ]


def database_rows(databases: Sequence[Row]) -> list[Row]:
    return [
        {
            **{label: row.get(label) or "" for label in ("name", "database", "force_user", "pool_mode")},
            **{ours: _number(row, *theirs) for ours, theirs in _DATABASE_COLUMNS.items()},
        }
        for row in databases
    ]


def list_rows(lists: Sequence[Row]) -> Sequence[Row]:
    """Return one row with a column for each list."""
    items = {str(row["list"]): _number(row, "items") for row in lists}
    return [{name: items.get(name) for name in _LISTS}]


def config_rows(config: Sequence[Row]) -> Sequence[Row]:
    """Return one row with a column for each setting."""
    values = {str(row["key"]): row["value"] for row in config}
    return [{name: _number(values, name) for name in _CONFIG}]


def client_rows(lists: Sequence[Row], config: Sequence[Row]) -> Sequence[Row]:
    """Return one row with the share of the clients that may connect."""
    used, limit = list_rows(lists)[0]["used_clients"], config_rows(config)[0]["max_client_conn"]
    known = isinstance(used, float) and isinstance(limit, float) and limit > 0
    return [{"used_ratio": used / limit if known else None}]  # type: ignore[operator]  # known to be numbers


def _with_ratios(pools: Sequence[Row], databases: Sequence[Row]) -> list[tuple[Row, float | None]]:
    sizes = {row["name"]: _number(row, "pool_size") for row in databases}
    ratios = []
    for pool in pools:
        size = sizes.get(pool["database"])
        busy = sum(_number(pool, column) or 0.0 for column in _BUSY_SERVERS)
        ratios.append((pool, busy / size if size else None))
    return ratios


def _activity(pool: Row) -> tuple[float, ...]:
    return tuple(_number(pool, column) or 0.0 for column in ("cl_waiting", "sv_active", "cl_active"))


def _seconds(row: Row, column: str) -> float | None:
    microseconds = _number(row, column)
    return None if microseconds is None else microseconds / 1e6


def _number(row: Row, *names: str) -> float | None:
    """Return the first of the columns that is there."""
    value = next((row[name] for name in names if row.get(name) is not None), None)
    try:
        return None if value is None else float(value)  # type: ignore[arg-type]  # int, Decimal or the console's text
    except ValueError:
        raise QueryError("decode", f"{names[0]} is no number") from None
