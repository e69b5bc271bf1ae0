"""The product's own samples, as the snapshot has them."""

from dataclasses import replace

import pytest

from exporter.errors import QueryError
from exporter.exposition.core_samples import core_samples
from exporter.queries.core_metrics import CORE_METRICS
from exporter.queries.histogram import HistogramValue
from exporter.queries.query import Value
from exporter.state.events import Event
from exporter.state.snapshot import Snapshot
from tests.support.factories import Events, at, info, monitored_target, query, snapshot

Samples = dict[str, dict[tuple[tuple[str, str], ...], Value]]
EVENTS = Events()


def samples(*events: Event, now: float = 10.0, made: Snapshot | None = None) -> Samples:
    """Return what is said of a target after some events, by metric and labels."""
    made = made or snapshot()
    for event in events:
        made.apply(event)
    found: Samples = {}
    for metric, labels, value in core_samples(made, "orders", at(now)):
        assert labels not in found.setdefault(metric, {})
        if value is not None:
            found[metric][labels] = value
    return found


def test_every_sample_is_of_a_core_metric_and_has_its_labels() -> None:
    """What is emitted is declared."""
    failed = EVENTS.failed_result(1.0, query("bloat"))
    server = info(missing_privileges={"pg_monitor": "x"}, capabilities={"a": ""}, started_at=1.0, tls_not_after=2.0)
    poll = replace(EVENTS.poll(1.0), periods={"bloat": 61.0})
    events = (EVENTS.ping(1.0, server, skew=0.5), EVENTS.result(1.0, query(timing=True)), failed, poll)
    found = samples(*events, made=snapshot(monitored_target(covered=True)))

    assert found.keys() == {name for name, core in CORE_METRICS.items() if not core.from_queries} - {
        "pgbouncer_up", "qdrant_up", "neo4j_up", "minio_up", "backups_up"
    }  # fmt: skip
    assert {name: [label for label, _ in labels] for name, series in found.items() for labels in series} == {
        name: list(CORE_METRICS[name].labels) for name in found
    }


def test_up_is_there_before_the_first_ping() -> None:
    """A target that was never reached is down, not absent; so is every counter at 0."""
    found = samples()

    assert found["datatier_up"] == found["pg_up"] == {(): 0.0}
    assert found["datatier_target_state"] == {(): 1.0}
    assert found["datatier_polls_total"] == {(): 0.0}
    assert sum(value for value in found["datatier_poll_failures_total"].values() if isinstance(value, float)) == 0.0


def test_up_is_one_after_a_good_ping_while_it_is_fresh() -> None:
    good = EVENTS.ping(1.0)

    assert samples(good)["datatier_up"] == samples(good)["pg_up"] == {(): 1.0}
    assert samples(good, now=100.0)["datatier_up"] == {(): 0.0}


def test_up_is_zero_where_the_database_is_closed() -> None:
    """The server's other series stay: it answers."""
    found = samples(EVENTS.ping(1.0, info(unserved="neo4j: offline")), EVENTS.result(1.0), EVENTS.poll(1.0))

    assert found["datatier_up"] == found["pg_up"] == {(): 0.0}
    assert found["datatier_target_state"] == {(): 3.0}
    assert found["datatier_query_success"] == {(("query", "sizes"),): 1.0}


def test_the_reason_of_a_failure_is_one_among_zeros() -> None:
    """An alert can ask for a reason that is not the present one."""
    found = samples(EVENTS.failed_ping(1.0, "auth"))["datatier_target_failure"]

    assert {dict(labels)["reason"]: value for labels, value in found.items()} == {
        "connect": 0.0, "auth": 1.0, "timeout": 0.0, "privilege": 0.0, "unsupported": 0.0, "query": 0.0, "decode": 0.0,
        "limit": 0.0,
    }  # fmt: skip


def test_unknown_values_have_no_samples() -> None:
    """Without a start time of the server and without a finished poll there are no samples."""
    found = samples(EVENTS.ping(1.0))

    assert found["datatier_target_start_time_seconds"] == {}
    assert found["datatier_poll_last_success_timestamp_seconds"] == {}


def test_a_server_that_is_down_has_no_identity() -> None:
    """Neither version, nor privileges, nor capabilities; and no query that succeeded."""
    server = info(missing_privileges={"pg_monitor": "x"}, capabilities={"a": ""})
    found = samples(EVENTS.ping(1.0, server), EVENTS.result(1.0), EVENTS.failed_ping(2.0))

    assert not found.keys() & {
        "datatier_target_info", "datatier_privilege_missing", "datatier_capability_info", "datatier_query_success"
    }  # fmt: skip
    assert found["datatier_query_last_success_timestamp_seconds"] == {(("query", "sizes"),): 1.0}


def test_an_unsupported_query_is_an_absent_capability() -> None:
    """With why, in our words; and it neither fails nor succeeds."""
    absent = EVENTS.failed_result(1.0, query("io"), QueryError("unsupported", "needs version >=16"))
    found = samples(EVENTS.ping(1.0), absent)

    assert found["datatier_capability_info"] == {(("capability", "io"), ("reason", "needs version >=16")): 0.0}
    assert "datatier_query_success" not in found


def test_a_servers_own_words_are_no_label() -> None:
    """They may say anything; users get the typed reason."""
    error = QueryError("unsupported", "FeatureNotSupported: no such thing at db1.example")
    error.__cause__ = RuntimeError("no such thing at db1.example")
    found = samples(EVENTS.ping(1.0), EVENTS.failed_result(1.0, query("io"), error))

    assert found["datatier_capability_info"] == {(("capability", "io"), ("reason", "unsupported")): 0.0}


def test_databases_of_a_query_add_up() -> None:
    """Success is success in all of them, duration and series are sums."""
    made, asked = snapshot(), query(scope="database", labels=())
    one, two = EVENTS.result(1.0, asked, [{"bytes": 1.0}]), EVENTS.failed_result(1.0, asked)
    made.apply(EVENTS.ping(1.0))
    for result, database in ((one, "app"), (two, "log")):
        made.apply(replace(result, database=database))
    found = samples(made=made)

    key = (("query", "sizes"),)
    assert found["datatier_query_success"] == {key: 0.0}
    assert found["datatier_query_duration_seconds"] == {key: 5.002}
    assert found["datatier_query_series"] == {key: 1.0}


def test_ping_durations_have_bounds_that_alerts_use() -> None:
    """0.1 and 0.5 seconds among them."""
    [value] = samples(EVENTS.ping(1.0, seconds=0.3))["datatier_probe_seconds"].values()
    assert isinstance(value, HistogramValue)

    assert {0.1, 0.5} <= {bound for bound, _ in value.buckets}
    assert value.sum == 0.3


def test_query_period_is_shown_for_each_query() -> None:
    """As the poller measured it; of a target that is down nothing is asked, and nothing made."""
    poll = replace(EVENTS.poll(1.0), periods={"bloat": 301.5, "wal": 60.0})

    assert samples(EVENTS.ping(1.0), poll)["datatier_query_period_seconds"] == {
        (("query", "bloat"),): 301.5, (("query", "wal"),): 60.0
    }  # fmt: skip
    assert "datatier_query_period_seconds" not in samples(EVENTS.failed_ping(1.0), poll)


def test_checks_are_metrics() -> None:
    """What /health says of a check, an alert can see."""
    slow = EVENTS.ping(1.0, seconds=0.7)

    assert samples(slow)["datatier_check_state"] == {
        (("check", "responseTime"),): 2.0, (("check", "replicationLag"),): 1.0, (("check", "diskSpace"),): 1.0,
        (("check", "overrun"),): 0.0, (("check", "privileges"),): 0.0, (("check", "queries"),): 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("covered", "role", "expected"),
    [
        (True, "primary", {(): 1.0}),
        (False, "primary", {(): 0.0}),
        (False, "", {(): 0.0}),
        (False, "replica", None),
        (True, "replica", None),
        (None, "primary", None),
    ],
)
def test_backup_covered_by_role_and_configuration(
    *, covered: bool | None, role: str, expected: dict[tuple[()], float] | None
) -> None:
    """Backups are made of a primary; a replica without any is no mistake, also while it is down."""
    made = snapshot(monitored_target(covered=covered))
    found = samples(EVENTS.ping(1.0, info(role=role)), EVENTS.failed_ping(2.0), made=made)

    assert found["datatier_backup_covered"] == (expected or {})


def test_backup_covered_before_the_first_ping_is_shown() -> None:
    """Nothing is known of its role, and an alert waits longer than the first ping."""
    found = samples(made=snapshot(monitored_target(covered=False)))

    assert found["datatier_backup_covered"] == {(): 0.0}


def test_configuration_of_a_target_is_shown() -> None:
    """Its interval, whether it is required, whether it is in maintenance."""
    made = snapshot(monitored_target(interval=30.0, required=False, maintenance=True))
    found = samples(made=made)

    assert found["datatier_poll_interval_seconds"] == {(): 30.0}
    assert found["datatier_target_required"] == {(): 0.0}
    assert found["datatier_target_maintenance"] == {(): 1.0}
