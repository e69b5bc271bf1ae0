"""What /health, its groups and its targets respond."""

import json

import pytest
from pydantic import SecretStr

from exporter.config.config import Web
from exporter.health import rendered
from exporter.health.rendered import RenderedHealthCache
from exporter.health.report import HealthReport, report
from exporter.state.events import Instant
from tests.support.app_client import BOTH, AppClient
from tests.support.factories import Events, info, monitored_target
from tests.support.health_schema import valid

EVERY_PAGE = ["/health", "/health/groups/write", "/health/targets/orders", "/livez", "/startupz", "/readyz"]


def test_health_fails_with_a_required_target(app_client: AppClient) -> None:
    """After two failed polls, whatever the other targets."""
    app_client.poll("orders")
    assert app_client.health()["status"] == "warn"

    app_client.poll("invoices")
    assert app_client.health()["status"] == "pass"

    for now in (16.0, 31.0):
        app_client.fail("invoices", now)
    app_client.poll("orders", 31.0)
    answer = app_client.health()
    assert (answer["status"], answer["targets"]["orders"]["state"]) == ("fail", "ok")


def test_health_of_a_group_is_that_of_its_targets(app_client: AppClient) -> None:
    """Of its targets alone."""
    app_client.poll("orders")
    app_client.fail("invoices")
    answer = app_client.health("/health/groups/write")

    assert (answer["status"], list(answer["targets"])) == ("pass", ["orders"])
    assert app_client.health("/health/groups/paper")["status"] == "fail"


def test_health_of_one_target_ignores_the_others(app_client: AppClient) -> None:
    """The others do not matter."""
    app_client.poll("orders")
    app_client.fail("invoices")

    assert (app_client.health("/health/targets/orders")["status"], app_client.health()["status"]) == ("pass", "fail")
    assert app_client.health("/health/targets/orders?role=replica&max_lag=10s&max_age=30s")["status"] == "pass"
    assert app_client.health("/health/targets/orders?role=primary")["status"] == "fail"
    assert app_client.health("/health/targets/orders?max_lag=3s")["status"] == "fail"


def test_raw_health_is_not_damped(app_client: AppClient) -> None:
    """A load balancer with a rise and fall of its own would wait twice."""
    app_client.poll("orders")
    app_client.fail("orders", 16.0)
    assert app_client.health("/health/targets/orders")["status"] == "pass"
    assert app_client.health("/health/targets/orders?raw=1")["status"] == "fail"

    app_client.poll("orders", 31.0)
    assert app_client.health("/health/targets/orders?raw=1")["status"] == "pass"


def test_target_in_maintenance_fails_alone(app_client: AppClient) -> None:
    """A load balancer must send no requests to a server that is down, whatever the reason."""
    app_client.poll("invoices")
    app_client.down("orders")
    app_client.watch("orders", maintenance=True)

    assert [app_client.status(path) for path in ("/health", "/health/groups/write", "/health/targets/orders")] == [
        200,
        200,
        503,
    ]
    assert app_client.lines("/health?verbose")[0] == "[+]orders down, in maintenance: connect"


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_unknown_parameter_is_an_error(app_client: AppClient, path: str) -> None:
    """A typing error must not look like health of the stores; the process itself is not ended for one."""
    for name in BOTH:
        app_client.poll(name)
    answer = app_client.client.get(f"{path}?verbos&role=primary&x=1&x=2")

    if path in ("/livez", "/readyz", "/startupz"):
        assert (answer.status_code, answer.text) == (200, "ok\n")
    else:
        assert answer.status_code == 400
        assert "verbose" in answer.text


@pytest.mark.parametrize("query", ["verbose=perhaps", "verbose&verbose"])
def test_malformed_value_is_an_error(app_client: AppClient, query: str) -> None:
    assert {app_client.status(f"{path}?{query}") for path in EVERY_PAGE} == {400}


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_verbose_has_a_line_for_each_target(app_client: AppClient, path: str) -> None:
    """Readable in a terminal, with the status of the page itself."""
    for name in BOTH:
        app_client.poll(name)
    answer = app_client.client.get(f"{path}?verbose")
    *listed, last = answer.text.splitlines()

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert listed
    assert all(line.startswith("[+]") and line.endswith(" ok") for line in listed)
    assert last == f"{path.rpartition('/')[2]} check passed"


def test_verbose_has_reasons(app_client: AppClient) -> None:
    """Of degraded and failed targets; a target that is not required says so."""
    app_client.watch("invoices", required=False)
    app_client.poll("orders", lag=31.0)
    app_client.down("invoices")
    assert app_client.lines("/health?verbose") == [
        "[+]orders degraded: replicationLag", "[+]invoices down, not required: connect", "health check passed"
    ]  # fmt: skip

    app_client.watch("invoices", required=True)
    app_client.down("invoices")
    assert app_client.lines("/health?verbose")[1:] == ["[-]invoices failed: connect", "health check failed"]
    assert app_client.lines("/health/targets/orders?verbose&role=primary") == [
        "[-]orders failed: replicationLag, role", "orders check failed"
    ]  # fmt: skip


def test_exclude_omits_targets(app_client: AppClient) -> None:
    """Several, and everywhere but at one target; what is not there is said, for a target may be gone since."""
    app_client.poll("orders")
    app_client.down("invoices")
    answer = app_client.health("/health?exclude=invoices&exclude=gone")

    assert (answer["status"], list(answer["targets"])) == ("pass", ["orders"])
    assert answer["notes"] == ["exclude=gone: there is no such thing here"]
    assert app_client.status("/health/groups/paper?exclude=invoices") == 200
    assert app_client.status("/health/targets/orders?exclude=orders") == 400


def test_503_has_retry_after(app_client: AppClient) -> None:
    """The time of the next poll; after a refused login, the end of its pause."""
    app_client.fail("orders", 1.0)
    assert 1 <= int(app_client.client.get("/health").headers["retry-after"]) <= 15
    assert app_client.client.options("/health").headers["retry-after"]
    assert "retry-after" not in app_client.client.get("/health/groups/paper").headers

    events = Events(monitored_target("orders"))
    refused = events.failed_ping(1.0, "auth")
    app_client.publish(
        type(refused)("orders", 1.0, refused.fresh_until + 60.0, 0.001, None, refused.error), events.poll(1.0)
    )
    assert 60 <= int(app_client.client.get("/health/targets/orders").headers["retry-after"]) <= 75


def test_local_fault_takes_no_target_down(app_client: AppClient) -> None:
    """A fault of the exporter must not take all servers out of service; the body has a note about it."""
    app_client.down(*BOTH, fault="dns")
    answer = app_client.health()

    assert (answer["status"], answer["targets"]["orders"]["state"]) == ("warn", "unknown")
    assert answer["targets"]["orders"]["reasons"] == [{"code": "connect", "local": "dns"}]
    assert answer["notes"][0] == (
        "the exporter's machine gets no answer from a name server: what is down from here may be well"
    )
    assert app_client.health("/health/targets/orders")["status"] == "warn"
    assert app_client.health("/health/targets/orders?max_age=30s")["status"] == "fail"
    assert f"note: {answer['notes'][0]}" in app_client.lines("/health?verbose")


def test_all_targets_may_be_down(app_client: AppClient) -> None:
    """If the servers themselves fail, health fails."""
    app_client.down(*BOTH)

    assert (app_client.health()["status"], app_client.health()["notes"]) == ("fail", ["orders: down", "invoices: down"])


def test_local_fault_ends_with_one_successful_ping(app_client: AppClient) -> None:
    """The cached health of the others is not served any longer."""
    app_client.down(*BOTH, fault="dns")
    assert app_client.health("/health/groups/write")["status"] == "warn"

    app_client.poll("invoices", 3.0)
    assert app_client.health("/health/groups/write")["status"] == "fail"


def test_stopped_polling_is_reported(app_client: AppClient) -> None:
    """Its targets are unknown then, not down."""
    for name in BOTH:
        app_client.poll(name)
    app_client.now = 60.0
    answer = app_client.health()

    assert (answer["status"], answer["notes"][0][:34]) == ("warn", "the exporter has stopped polling: ")


def test_health_without_authentication_is_the_status_alone(app_client: AppClient) -> None:
    """With the same HTTP status, but neither names nor reasons, whatever the parameters."""
    app_client.configure(web=Web(token=SecretStr("secret-token")))
    app_client.fail("orders")
    app_client.now = 60.0
    answers = {path: app_client.client.get(f"{path}?verbose") for path in EVERY_PAGE}

    assert [json.loads(answers[path].text) for path in EVERY_PAGE[:3]] == [{"status": "warn"}] * 3
    assert valid(answers["/health"].json())
    assert {answers[path].text for path in EVERY_PAGE[3:]} == {"ok\n", "failed\n"}
    assert answers["/livez"].status_code == 503


def test_health_json_is_indented(app_client: AppClient) -> None:
    """A line for each target and each check."""
    app_client.poll("orders")
    text = app_client.client.get("/health").text

    assert [line.strip()[:9] for line in text.splitlines() if "orders" in line][:2] == ['"orders":', '"orders:r']
    assert json.loads(text)["serviceId"] == "datatier-exporter"


def test_rendered_body_equals_the_report(app_client: AppClient) -> None:
    """At any time: cached fragments equal those made anew."""
    cache, snapshot = RenderedHealthCache(app_client.service.snapshot), app_client.service.snapshot

    def agree(now: float) -> None:
        both = Instant(now, now)
        text = HealthReport(snapshot, cache.of(snapshot.targets, both), both).json()
        assert valid(json.loads(text)) == json.loads(json.dumps(report(snapshot, both)))

    agree(0.0)
    for step in range(40):
        name, now = BOTH[step % 2], 2.0 * step
        if step % 7 > 4:
            app_client.fail(name, now, "dns" if step > 20 else None)
        else:
            app_client.poll(name, now, lag=20.0 + step)
        if step == 30:
            app_client.publish(Events(monitored_target("orders")).ping(now, info('15 "beta"')))
        agree(now)
        agree(now + 1.5)
    agree(115.0)
    agree(200.0)


def test_health_is_rendered_at_the_end_of_a_poll(app_client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request only joins cached fragments, however many targets were polled since the last one."""
    for name in BOTH:
        app_client.poll(name)
    monkeypatch.setattr(rendered, "target_health", None)

    assert app_client.health()["status"] == "pass"
