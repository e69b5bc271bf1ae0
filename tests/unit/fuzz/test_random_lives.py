"""Targets come, go, fail and return in any order; at every moment all pages parse, and say the same."""

import json
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exporter.errors import QueryError, Reason
from exporter.queries.health_rule import HealthRule
from exporter.state.events import MonitoredTarget
from exporter.state.local_fault import LocalFault
from tests.support.app_client import LAG, AppClient
from tests.support.factories import SIZE_CHECK, Events, info, metric, monitored_target, query
from tests.support.fuzz import examples
from tests.support.health_events import unexplained
from tests.support.html_tree import read_html
from tests.support.pages import Series, series_of

STATES = {"ok": 0.0, "unknown": 1.0, "degraded": 2.0, "down": 3.0}
STATUSES = {"pass": 0.0, "unknown": 1.0, "warn": 2.0, "fail": 3.0}
NAMES = ("orders", "invoices", "search", "graph")
QUERIES = (
    SIZE_CHECK,
    LAG,
    query("backups", labels=("check",), metrics=(metric("datatier_backups"),)),
    query("named", labels=(), metrics=(), findings="datname", health=HealthRule(check="named", status="status")),
)
names = st.sampled_from(NAMES)
reasons: st.SearchStrategy[Reason] = st.sampled_from(["connect", "auth", "timeout", "query", "decode", "limit"])
faults: st.SearchStrategy[LocalFault | None] = st.sampled_from([None, None, "resources", "network", "dns"])


class Lives(RuleBasedStateMachine):
    """The application on a clock of ours; its pages are asked for after each event."""

    @initialize()
    def start(self) -> None:
        self.app = AppClient()
        self.ask: Callable[[str], str] = lambda path: self.app.client.get(path).text

    def teardown(self) -> None:
        self.app.client.close()

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 15.0, 31.0, 200.0, 90_000.0]))
    def wait(self, seconds: float) -> None:
        self.app.now += seconds

    @rule(
        name=names,
        seconds=st.sampled_from([0.001, 0.3, 9.0]),
        blind=st.booleans(),
        role=st.sampled_from(["", "replica"]),
    )
    def answer_ping(self, name: str, seconds: float, blind: bool, role: str) -> None:  # noqa: FBT001 - drawn
        missing = {"pg_monitor": "GRANT"} if blind else {}
        self.publish(
            name, lambda events: events.ping(self.app.now, info(role=role, missing_privileges=missing), seconds)
        )

    @rule(name=names, reason=st.sampled_from(["connect", "auth", "timeout"]), fault=faults)
    def fail_ping(self, name: str, reason: Reason, fault: LocalFault | None) -> None:
        self.publish(name, lambda events: events.failed_ping(self.app.now, reason, fault))

    @rule(name=names, asked=st.sampled_from(QUERIES), value=st.floats() | st.none(), text=st.text(max_size=5))
    def answer(self, name: str, asked: object, value: float | None, text: str) -> None:
        row = {"datname": text, "check": text, "bytes": value, "status": "warn"}
        self.publish(name, lambda events: events.result(self.app.now, asked, [row]))  # type: ignore[arg-type]

    @rule(name=names, asked=st.sampled_from(QUERIES), reason=reasons, dropped=st.integers(0, 5))
    def fail(self, name: str, asked: object, reason: Reason, dropped: int) -> None:
        error = QueryError(reason, "why", dropped)
        self.publish(name, lambda events: events.failed_result(self.app.now, asked, error))  # type: ignore[arg-type]

    @rule(name=names, skipped=st.integers(0, 2))
    def end_poll(self, name: str, skipped: int) -> None:
        self.publish(name, lambda events: events.poll(self.app.now, skipped))

    @rule(name=names, required=st.booleans(), maintenance=st.booleans(), interval=st.sampled_from([1.0, 15.0, 600.0]))
    def configure(self, name: str, required: bool, maintenance: bool, interval: float) -> None:  # noqa: FBT001 - drawn
        changed = monitored_target(
            name, interval=interval, required=required, maintenance=maintenance, labels={"cluster": "a"}
        )
        if name in self.targets:
            self.forget(name)
        self.app.service.snapshot.watch(changed, self.app.clock())

    @precondition(lambda self: len(self.targets) > 1)
    @rule(name=names)
    def remove(self, name: str) -> None:
        if name in self.targets:
            self.forget(name)

    @property
    def targets(self) -> dict[str, MonitoredTarget]:
        return self.app.service.snapshot.targets

    def forget(self, name: str) -> None:
        """Do what a reload does with a target that is there no more."""
        for part in (self.app.service.snapshot, self.app.service.exposition, self.app.service.health):
            part.forget(name)

    def publish(self, name: str, make: Callable[[Events], object]) -> None:
        if name in self.targets:
            self.app.publish(make(Events(self.targets[name])))  # type: ignore[arg-type]

    @invariant()
    def pages_agree(self) -> None:
        body = self.app.health()
        series = series_of(self.ask("/metrics"))
        page = read_html(self.ask("/"))

        assert set(body["targets"]) == set(self.targets)
        assert {dict(labels)["target"] for name, labels in series if name == "datatier_up"} == set(self.targets)
        assert {link.text for link in page.all("a") if link.attributes["href"].startswith("/targets/")} == set(
            self.targets
        )
        for name, target in body["targets"].items():
            shown = "maintenance" if target["maintenance"] else target["state"]
            links = [part for part in (*page.all("tr"), *page.all("li")) if part.all("a", href=f"/targets/{name}")]

            assert unexplained(target) is None
            assert only(series, "datatier_target_state", name) == {"": STATES[target["state"]]}
            assert [shown in link.text.split() or shown in link.text for link in links] == [True]
            assert only(series, "datatier_check_state", name) == {
                check.partition(":")[2]: STATUSES[found["status"]]
                for check, [found] in body["checks"].items()
                if found["componentId"] == name
            }

    @invariant()
    def formats_agree(self) -> None:
        for name in list(self.targets)[:1]:
            openmetrics = self.app.client.get(
                f"/probe?target={name}", headers={"Accept": "application/openmetrics-text"}
            )

            assert repr(series_of(openmetrics.text, "openmetrics")) == repr(
                series_of(self.ask(f"/probe?target={name}"))
            )
            assert json.loads(self.app.client.get(f"/health/targets/{name}").text)["targets"].keys() == {name}


def only(series: Series, metric_name: str, target: str) -> dict[str, float]:
    """Return a core metric's values of one target, by check."""
    return {
        dict(labels).get("check", ""): value
        for (name, labels), value in series.items()
        if name == metric_name and dict(labels)["target"] == target
    }


TestLives = Lives.TestCase
TestLives.settings = settings(examples(5), stateful_step_count=12)
