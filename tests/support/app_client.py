"""The application as its clients see it, with a clock of our own and nothing polled."""

from dataclasses import replace
from typing import Any

from starlette.testclient import TestClient

from exporter.config.config import Config
from exporter.queries.health_rule import HealthRule
from exporter.reload import Load
from exporter.service import Service
from exporter.settings import RuntimeConfig
from exporter.state.events import Event, Instant
from exporter.state.local_fault import LocalFault
from exporter.web import app as application
from tests.support.factories import Events, at, info, metric, monitored_target, query
from tests.support.health_schema import valid

BOTH = ("orders", "invoices")
LAG = query(
    "lag", labels=(), metrics=(metric("pg_lag_seconds"),),
    health=HealthRule(check="replicationLag", metric="pg_lag_seconds", warn_above=30),
)  # fmt: skip


class AppClient:
    """Two targets, each in a group of its own; `now` is what both clocks show."""

    def __init__(self, load: Load | None = None) -> None:
        self.now = 0.0
        urls = {"orders": "postgresql://u:hunter22@h/db", "invoices": "postgresql://u@h/db"}
        groups = {"orders": ["write"], "invoices": ["paper"]}
        targets = [{"name": name, "store": "postgres", "url": urls[name], "groups": groups[name]} for name in BOTH]
        self.app = application.create_app(RuntimeConfig(Config.model_validate({"targets": targets})), load, self.clock)
        self.service: Service = self.app.state.service
        self.client = TestClient(self.app)

    def clock(self) -> Instant:
        return at(self.now)

    def publish(self, *events: Event) -> None:
        for event in events:
            self.service.publish(event)

    def poll(self, name: str, now: float = 1.0, lag: float = 4.0) -> None:
        """Publish a whole good poll."""
        events = Events(monitored_target(name))
        self.publish(
            events.ping(now, info(role="replica")), events.result(now, LAG, [{"bytes": lag}]), events.poll(now)
        )
        self.now = now

    def fail(self, name: str, now: float = 1.0, fault: LocalFault | None = None) -> None:
        """Publish a whole failed poll."""
        events = Events(monitored_target(name))
        self.publish(events.failed_ping(now, fault=fault), events.poll(now))
        self.now = now

    def down(self, *names: str, fault: LocalFault | None = None) -> None:
        """Let targets fail until they are down."""
        for now in (1.0, 2.0):
            for name in names:
                self.fail(name, now, fault)

    def configure(self, **settings: Any) -> None:
        """Replace settings, as a reload does."""
        config = self.service.config.model_copy(update=settings)
        self.service.settings = self.service.settings._replace(config=config)

    def watch(self, name: str, **changes: Any) -> None:
        """Change what is configured of a target."""
        snapshot = self.service.snapshot
        snapshot.watch(replace(snapshot.targets[name], **changes), self.clock())

    def status(self, path: str, method: str = "GET") -> int:
        return self.client.request(method, path, follow_redirects=False).status_code

    def lines(self, path: str) -> list[str]:
        return self.client.get(path).text.splitlines()

    def health(self, path: str = "/health") -> dict[str, Any]:
        answer = self.client.get(path)
        assert answer.headers["content-type"] == "application/health+json"
        body = valid(answer.json())
        assert answer.status_code == (503 if body["status"] == "fail" else 200)
        return body
