"""One target with limits, checks and queries of its own, beside one without."""

import subprocess

import pytest

from testkit.postgres import PASSWORDS
from testkit.session import Servers
from tests.support.exporter_process import Exporter, names_of

pytestmark = pytest.mark.servers("postgres:18")

ENOUGH = 300  # metrics
LOW = {"connections_used_ratio": {"warn": 0.0001, "fail": 0.0002}}


def test_a_target_is_judged_by_its_own_limits(servers: Servers) -> None:
    """A check that is off keeps its value, a query that is disabled leaves nothing; `check` goes by the same."""
    server = servers.postgres()
    superuser = f"postgresql://postgres@127.0.0.1:{server.port}/postgres"  # the other's role has five connections
    alarming = {"expect": {"replicas": 7}, "thresholds": LOW}
    quiet = {
        "url": superuser,
        "password": PASSWORDS["postgres"],
        "checks": {"replicas": False, "connections": "off"},
        "disable_queries": ["database_size", "stat_*"],
    }
    targets = [server.target("alarming", **alarming), {**server.target("quiet"), **alarming, **quiet}]
    with Exporter(targets, disable_queries=["locks"]) as exporter:
        exporter.wait(lambda: len(names_of(exporter.samples(), "alarming")) > ENOUGH, "all that is asked")
        exporter.wait_up("quiet")
        exporter.wait(lambda: exporter.state("alarming") == "degraded", "the limits that are passed")
        body, samples = exporter.health(), exporter.samples()
        missing = names_of(samples, "alarming") - names_of(samples, "quiet")
        checked = subprocess.run(exporter.command("check"), capture_output=True, text=True, check=True).stdout

    reasons = {reason.get("check") for reason in body["targets"]["alarming"]["reasons"]}
    assert reasons >= {"replicas", "connections"}
    assert body["targets"]["quiet"]["reasons"] == []
    [connections] = body["checks"]["quiet:connections"]
    assert (connections["status"], connections["output"]) == ("unknown", "off")
    assert connections["observedValue"] > 0.0002
    assert "warnAbove" not in connections
    states = {
        dict(labels)["check"]: value
        for labels, value in samples["datatier_check_state"].items()
        if ("target", "quiet") in labels
    }
    assert (states["replicas"], states["connections"], states["responseTime"]) == (1, 1, 0)
    assert missing >= {"pg_database_size_bytes", "pg_stat_database_xact_commit"}
    assert "pg_connections_used_ratio" not in missing
    assert "pg_locks_count" not in samples
    first, _, second = checked.partition("quiet: postgres")
    assert ("  database_size " in first, "  database_size " in second, "  locks " in checked) == (True, False, False)
