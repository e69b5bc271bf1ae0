"""A real Alertmanager with our configuration: who hears of what, which alert mutes another, what a mail says."""

import json
import subprocess
import time
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from testkit import Unavailable
from testkit.prometheus import alertmanager_programs
from testkit.session import Servers
from tests.support.webhook_receiver import ALERTS, desk


def alert(name: str, severity: str, target: str | None = "orders", **labels: str) -> dict[str, Any]:
    common = {"job": "datatier", "instance": "exporter:9187", "component": "data-tier"}
    about = {"store": "postgres", "target": target} if target else {}
    return {
        "labels": {"alertname": name, "severity": severity, **common, **about, **labels},
        "annotations": {
            "summary": f"{target or 'exporter'}: {name} at 91 %",
            "description": "More than 80 % of what is not reserved.",
            "dashboard": "datatier-postgres",
            "runbook_url": f"docs/runbooks/{name}.md",
        },
    }


@pytest.fixture
def amtool(servers: Servers) -> Path:
    try:
        return alertmanager_programs() / "amtool"
    except Unavailable as reason:
        servers.skip("amtool", str(reason))


def test_amtool_accepts_the_configuration(amtool: Path) -> None:
    command = [str(amtool), "check-config", str(ALERTS / "alertmanager.yaml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=DataTierWatchdog severity=none component=data-tier", "heartbeat"),
        ("alertname=PostgresSyncStandbyLost severity=critical component=data-tier", "pager"),
        ("alertname=PostgresBloatHigh severity=warning component=data-tier", "tickets"),
        ("alertname=SomebodyElses severity=critical", "tickets"),
    ],
)
def test_routes(amtool: Path, labels: str, receiver: str) -> None:
    """Pages wake people, tickets do not; an alert of another system is no page."""
    command = [str(amtool), "config", "routes", "test", f"--config.file={ALERTS / 'alertmanager.yaml'}"]
    done = subprocess.run([*command, *labels.split()], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == receiver


def test_everybody_hears_what_is_theirs(servers: Servers, tmp_path: Path) -> None:
    """The page goes to pager and channel, the ticket by mail, to channel and Teams, the watchdog elsewhere."""
    with desk(servers, tmp_path) as here:
        here.alertmanager.post(
            [
                alert("PostgresSyncStandbyLost", "critical", check="syncStandbys"),
                alert("PostgresConnectionsHigh", "warning", "billing", check="connections"),
                alert("DataTierWatchdog", "none", None),
            ]
        )
        here.wait(lambda: bool(here.sink.mails) and len(here.sink.posts) == 4, "mail, pager, channel, Teams, heartbeat")
        here.wait(lambda: len(here.sink.posts["/slack"]) >= 2, "both in the channel")
        [page] = here.sink.posts["/pagerduty"]
        heard = {path: json.dumps(posts) for path, posts in here.sink.posts.items()}

    assert "PostgresSyncStandbyLost" in page["payload"]["summary"]
    assert page["links"][0]["href"].endswith("/docs/runbooks/PostgresSyncStandbyLost.md")
    assert page["client_url"].endswith("/d/datatier-postgres?var-target=orders")
    assert "PostgresConnectionsHigh" in heard["/tickets"]
    assert "PostgresSyncStandbyLost" not in heard["/tickets"]
    assert "DataTierWatchdog" in heard["/heartbeat"]
    assert "DataTierWatchdog" not in heard["/slack"] + heard["/tickets"] + heard["/pagerduty"]


def test_the_mail(servers: Servers, tmp_path: Path) -> None:
    """Its subject says what and where; its text the value, the limit, since when; its links lead to the target."""
    with desk(servers, tmp_path) as here:
        here.alertmanager.post(
            [
                alert("PostgresConnectionsHigh", "warning", "orders & more"),
                alert("PostgresBloatHigh", "warning", "orders & more", datname="app"),
            ]
        )
        here.wait(lambda: bool(here.sink.mails), "the mail")
    mail: Message = message_from_bytes(here.sink.mails[0], policy=default)
    parts = {part.get_content_type(): str(part.get_content()) for part in mail.walk() if not part.is_multipart()}  # type: ignore[attr-defined] # EmailMessage has it

    assert mail["Subject"] == "[FIRING:2] postgres/orders & more"
    assert parts.keys() == {"text/plain", "text/html"}
    for kind in parts.values():
        assert "docs/runbooks/PostgresConnectionsHigh.md" in kind
        assert "/d/datatier-postgres?var-target=orders+%26+more" in kind.replace("&#43;", "+")
        assert "More than 80 % of what is not reserved." in kind
        assert " UTC" in kind
    assert "FIRING warning: orders & more: PostgresConnectionsHigh at 91 %" in parts["text/plain"]
    assert "<b>orders &amp; more: PostgresConnectionsHigh at 91 %</b>" in parts["text/html"]


def test_tickets_wait_for_the_morning_and_pages_do_not(servers: Servers, tmp_path: Path) -> None:
    """Out of business hours a warning is known, and no message is sent."""
    with desk(servers, tmp_path, at_work=False) as here:
        here.alertmanager.post([alert("PostgresBloatHigh", "warning"), alert("PostgresSyncStandbyLost", "critical")])
        here.wait(lambda: "/pagerduty" in here.sink.posts, "the page")
        time.sleep(5)  # five times the wait of a group
        silent = here.sink.mails == [] and "/tickets" not in here.sink.posts

        assert silent
        assert "PostgresBloatHigh warning orders" in here.active()


def test_a_target_that_is_down_says_all_that_is_to_say_of_it(servers: Servers, tmp_path: Path) -> None:
    """What else fires for it is suppressed; other targets, the exporter, the cluster and the age of backups are not."""
    with desk(servers, tmp_path) as here:
        here.alertmanager.post(
            [
                alert("DataTierTargetDown", "critical"),
                alert("PostgresSyncStandbyLost", "critical"),
                alert("DataTierCheckFailing", "critical", check="responseTime"),
                alert("PostgresBloatHigh", "warning", "billing"),
                alert("PostgresClusterWithoutPrimary", "critical", None, store="postgres", cluster="eu-1"),
                alert("DataTierWatchdog", "none", None),
                alert("DataTierTargetDown", "warning", "optional"),
                alert("PostgresBloatHigh", "warning", "optional"),
                alert("PostgresSyncStandbyLost", "critical", "optional"),
                alert("DataTierBackupTooOld", "warning", "optional", check="dump"),
                alert("DataTierBackupTooOld", "critical", "orders", check="dump"),
            ]
        )
        here.wait(lambda: len(here.suppressed()) >= 3, "what is suppressed")

        assert here.suppressed() == {
            "PostgresSyncStandbyLost critical orders",
            "DataTierCheckFailing critical orders responseTime",
            "PostgresBloatHigh warning optional",
        }


def test_an_exporter_that_is_down_says_all_that_is_to_say_of_its_targets(servers: Servers, tmp_path: Path) -> None:
    """Those of another exporter are as they were."""
    with desk(servers, tmp_path) as here:
        here.alertmanager.post(
            [
                alert("DataTierExporterDown", "critical", None),
                alert("DataTierTargetDown", "critical"),
                alert("DataTierTargetDown", "critical", "billing", instance="other:9187"),
            ]
        )
        here.wait(lambda: bool(here.suppressed()), "what is suppressed")

        assert here.suppressed() == {"DataTierTargetDown critical orders"}


def test_one_trouble_is_one_alert(servers: Servers, tmp_path: Path) -> None:
    """The page takes the ticket's place, the telling alert the general one's; another object is another trouble."""
    with desk(servers, tmp_path) as here:
        here.alertmanager.post(
            [
                alert("PostgresReplicationLag", "critical", check="replicationLag"),
                alert("PostgresReplicationLag", "warning", check="replicationLag"),
                alert("DataTierCheckFailing", "critical", check="replicationLag"),
                alert("DataTierCheckFailing", "critical", check="queue"),
                alert("PostgresXidWraparound", "critical", datname="app"),
                alert("PostgresXidWraparound", "warning", datname="app"),
                alert("PostgresXidWraparound", "warning", datname="other"),
                alert("PostgresIdleInTransaction", "warning", check="idleInTransaction"),
                alert("DataTierCheckFailing", "warning", check="idleInTransaction"),
                alert("DataTierTargetDegraded", "warning"),
                alert("DataTierTargetDegraded", "warning", "billing"),
            ]
        )
        here.wait(lambda: len(here.suppressed()) >= 5, "what is suppressed")

        assert here.active() == {
            "PostgresReplicationLag critical orders replicationLag",
            "DataTierCheckFailing critical orders queue",
            "PostgresXidWraparound critical orders app",
            "PostgresXidWraparound warning orders other",
            "PostgresIdleInTransaction warning orders idleInTransaction",
            "DataTierTargetDegraded warning billing",
        }
