"""The demo's summary: a pure view of two pages."""

from typing import Any

from prometheus_client.samples import Sample

from deploy.demo.summary import Reading, Summary

TARGET: dict[str, Any] = {
    "state": "ok", "version": "18.6", "role": "primary", "latency_seconds": 0.00061,
    "reasons": [], "missing_privileges": [], "failing_queries": [],
}  # fmt: skip


def reading(at: float, commits: float, **targets: dict[str, Any]) -> Reading:
    """Return a reading whose every target was polled at `at` with so many commits."""
    samples = [
        Sample("pg_connections_used", {}, 7),
        Sample("pg_settings_max_connections", {}, 50),
        Sample("pg_stat_database_xact_commit", {"datname": "app"}, commits),
        Sample("pg_stat_database_xact_rollback", {"datname": "app"}, 10),
        Sample("pg_cache_hit_ratio", {"datname": "app"}, 0.995),
        Sample("pg_replication_lag_seconds", {}, 1.25),
        Sample("datatier_poll_last_success_timestamp_seconds", {}, at),
    ]
    health = {"status": "pass", "targets": targets}
    return Reading(health, dict.fromkeys(targets, samples), 12_345, 0.0042)


def test_rates_are_between_polls_not_between_looks() -> None:
    """A look without a new poll repeats the rate instead of showing a zero."""
    summary = Summary()
    looks = [reading(100, 1000, a=TARGET), reading(105, 1500, a=TARGET), reading(105, 1500, a=TARGET)]
    rates = [summary.lines(look, 0)[1].split()[6] for look in looks]

    assert rates == ["-", "100", "100"]


def test_a_row_and_the_last_line() -> None:
    """Lag is a replica's alone, and the exporter tells of itself."""
    lines = Summary().lines(reading(100, 0, a=TARGET, b=TARGET | {"role": "replica"}), 65)

    assert lines[1].split() == ["a", "ok", "18.6", "primary", "0.6", "7/50", "-", "99.5%", "-", "7"]
    assert lines[2].split() == ["b", "ok", "18.6", "replica", "0.6", "7/50", "-", "99.5%", "1.2", "7"]
    assert lines[3] == "/health pass | 14 series, 12 kB, scrape 4.2 ms | 1 min 05 s"


def test_summary_shows_problems_below_the_table() -> None:
    """A target that is down has no numbers but a reason, and long lists end."""
    down = {"state": "down", "reasons": [{"code": "connect"}], "missing_privileges": [], "failing_queries": []}
    limit = {"code": "limit", "check": "connections", "value": 0.91, "limit": 0.8, "unit": "ratio"}
    failing = [{"query": f"query_{number}", "reason": "timeout"} for number in range(5)]
    bad = TARGET | {"state": "degraded", "reasons": [limit], "failing_queries": failing}
    lines = Summary().lines(Reading({"status": "fail", "targets": {"a": down, "b": bad}}, {}, 0, 0), 0)

    assert lines[1].split() == ["a", "down", *["-"] * 7, "0"]
    assert lines[3:5] == ["a: connect", "b: connections 0.91, limit 0.8 ratio"]
    assert lines[-2] == "and 3 more: see /health"


def test_eighty_columns_hold_the_longest_words() -> None:
    """Nothing wraps with all the stores' longest versions and roles."""
    long = TARGET | {"state": "degraded", "version": "DEVELOPMENT.GOGET", "role": "single-drive"}
    lines = Summary().lines(reading(100, 0, objects=long, **{"shop-1": TARGET | {"latency_seconds": 1.2345}}), 0)

    assert max(map(len, lines)) <= 80
