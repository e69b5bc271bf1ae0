"""PgBouncer's columns as other versions name them than the one that the integration tests run."""

from exporter.datastores.pgbouncer.rows import database_rows, pool_rows, stats_rows, waited_rows, worst_pool_rows

OLD_POOL = {"database": "app", "user": "me", "cl_active": 1, "cl_waiting": 2, "sv_active": 3, "sv_idle": 1,
            "sv_used": 1, "sv_tested": 1, "sv_login": 0, "maxwait": 7, "pool_mode": "session"}  # fmt: skip


def test_columns_missing_in_older_versions_are_absent() -> None:
    [row] = pool_rows([OLD_POOL], [{"name": "app", "pool_size": 8}])

    assert row["maxwait"] == 7.0
    assert row["used_ratio"] == 0.5
    assert row["sv_active_cancel"] is None


def test_newer_columns_are_found_by_their_names() -> None:
    [database] = database_rows([{"name": "app", "database": "app", "reserve_pool_size": 4, "load_balance_hosts": "x"}])
    [stats] = stats_rows([{"database": "app", "total_bind_count": 5, "total_wait_time": 1_500_000}])

    assert database["reserve_pool"] == 4.0
    assert database["paused"] is None
    assert (stats["total_bind_count"], stats["total_wait_time"]) == (5.0, 1.5)


def test_a_pool_without_a_size_has_no_ratio_and_no_pool_is_no_load() -> None:
    assert pool_rows([OLD_POOL], [{"name": "app", "pool_size": 0}])[0]["used_ratio"] is None
    assert worst_pool_rows([OLD_POOL], []) == [{"used_ratio": 0.0}]


def test_waited_rows_of_very_many_pools_show_those_that_wait() -> None:
    pools = [{**OLD_POOL, "user": f"u{number}", "cl_waiting": number} for number in range(600)]

    assert {row["user"] for row in pool_rows(pools, [])} == {f"u{number}" for number in range(100, 600)}
    assert waited_rows({("app", f"u{n}"): (1.0, float(n)) for n in range(600)})[0]["user"] == "u599"
