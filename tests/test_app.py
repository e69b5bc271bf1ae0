"""What each path answers, from the snapshot alone."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from prometheus_client import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from starlette.testclient import TestClient

from exporter import app as application
from exporter import service as running
from exporter.config import Config
from exporter.service import Service
from exporter.snapshot import Event, Now
from exporter.verdict import HealthRule
from tests.making import Events, at, info, metric, query, watched

PATHS = ["/", "/metrics", "/probe?target=orders", "/livez", "/startupz", "/readyz", "/health", "/health/targets/orders"]
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
LAG = query(
    "lag", labels=(), metrics=(metric("pg_lag_seconds"),),
    health=HealthRule(check="replicationLag", metric="pg_lag_seconds", warn_above=30),
)  # fmt: skip


class Site:
    """The application with two targets and a clock of our own; nothing is polled."""

    def __init__(self) -> None:
        self.now = 0.0
        urls = {"orders": "postgresql://u:hunter22@h/db", "invoices": "postgresql://u@h/db"}
        targets = [{"name": name, "store": "postgres", "url": url} for name, url in urls.items()]
        self.app = application.create_app(Config.model_validate({"targets": targets}), ())
        self.service: Service = self.app.state.service
        self.client = TestClient(self.app)

    def clock(self) -> Now:
        return at(self.now)

    def publish(self, *events: Event) -> None:
        for event in events:
            self.service.publish(event)

    def poll(self, name: str, now: float = 1.0, lag: float = 4.0) -> None:
        """Publish a whole good poll."""
        events = Events(watched(name))
        self.publish(
            events.ping(now, info(role="replica")), events.result(now, LAG, [{"bytes": lag}]), events.poll(now)
        )
        self.now = now

    def fail(self, name: str, now: float = 1.0) -> None:
        """Publish a whole failed poll."""
        events = Events(watched(name))
        self.publish(events.failed_ping(now), events.poll(now))
        self.now = now

    def status(self, path: str, method: str = "GET") -> int:
        return self.client.request(method, path, follow_redirects=False).status_code

    def health(self, path: str = "/health") -> dict[str, Any]:
        answer = self.client.get(path)
        assert answer.headers["content-type"] == "application/health+json"
        body: dict[str, Any] = answer.json()
        assert answer.status_code == (503 if body["status"] == "fail" else 200)
        return body


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    clock = at(0.0)
    monkeypatch.setattr(running, "instant", lambda: clock)
    made = Site()
    monkeypatch.setattr(application, "instant", made.clock)
    yield made
    made.client.close()


@pytest.mark.parametrize("path", PATHS)
def test_every_path_answers_get_head_and_options(site: Site, path: str) -> None:
    """With the same status; probes of load balancers use all three."""
    site.poll("orders")
    site.poll("invoices")

    assert [site.status(path, method) for method in ("GET", "HEAD", "OPTIONS")] == [200, 200, 200]


@pytest.mark.parametrize("path", ["/readyz", "/startupz", "/health", "/health/targets/orders"])
def test_every_method_tells_trouble(site: Site, path: str) -> None:
    """Also OPTIONS, which HAProxy sends unless told otherwise."""
    if path.startswith("/health"):
        site.fail("orders")

    assert [site.status(path, method) for method in ("GET", "HEAD", "OPTIONS")] == [503, 503, 503]


@pytest.mark.parametrize("path", PATHS)
def test_options_has_no_body(site: Site, path: str) -> None:
    answer = site.client.options(path)

    assert (answer.content, answer.headers["allow"]) == (b"", "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_no_answer_is_kept_by_a_cache(site: Site, path: str, method: str) -> None:
    """Or guessed at by a browser."""
    headers = site.client.request(method, path).headers

    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert headers["date"].endswith(" GMT")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(site: Site, method: str) -> None:
    assert [site.status(path, method) for path in PATHS] == [405] * len(PATHS)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing", 404),
        ("/docs", 404),
        ("/openapi.json", 404),
        ("/metrics/", 404),
        ("/health/", 404),
        ("/health/targets/nobody", 404),
        ("/probe", 400),
        ("/probe?target=", 400),
        ("/probe?target=nobody", 404),
        ("/probe?target=postgresql://u@h/db", 404),
        ("/health/targets/orders?max_lag=10", 400),
        ("/health/targets/orders?rolle=primary", 400),
    ],
)
def test_what_there_is_not(site: Site, path: str, status: int) -> None:
    """No path redirects: HAProxy would take that for health."""
    assert site.status(path) == status


def test_health_of_all(site: Site) -> None:
    """Fails when a required target is down, and no sooner."""
    site.poll("orders")
    assert site.health()["status"] == "warn"

    site.poll("invoices")
    assert site.health()["status"] == "pass"

    for now in (16.0, 31.0):
        site.fail("invoices", now)
    site.poll("orders", 31.0)
    body = site.health()
    assert (body["status"], body["targets"]["orders"]["state"]) == ("fail", "ok")


def test_health_of_one_target(site: Site) -> None:
    """The others do not matter."""
    site.poll("orders")
    site.fail("invoices")

    assert (site.health("/health/targets/orders")["status"], site.health()["status"]) == ("pass", "fail")
    assert site.health("/health/targets/orders?role=replica&max_lag=10s&max_age=30s")["status"] == "pass"
    assert site.health("/health/targets/orders?role=primary")["status"] == "fail"
    assert site.health("/health/targets/orders?max_lag=3s")["status"] == "fail"


def test_life_does_not_depend_on_a_store(site: Site) -> None:
    """Every target may be down."""
    for name in ("orders", "invoices"):
        site.fail(name)

    assert (site.status("/livez"), site.status("/readyz"), site.status("/health")) == (200, 200, 503)


def test_a_stuck_poller_ends_life(site: Site) -> None:
    """Somebody has to restart a process that serves nothing new."""
    site.poll("orders")
    site.now = 60.0
    answer = site.client.get("/livez")

    assert (answer.status_code, answer.text) == (503, "no poll for too long: orders, invoices\n")


def test_started_means_that_every_target_was_tried(site: Site) -> None:
    """Well or not; and after thirty seconds it is started anyway."""
    site.poll("orders")
    answer = site.client.get("/startupz")
    assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (503, "starting\n", "1")

    site.fail("invoices")
    assert (site.status("/startupz"), site.status("/readyz")) == (200, 200)


def test_a_dead_store_does_not_block_the_start(site: Site) -> None:
    site.now = 29.9
    assert site.status("/startupz") == 503

    site.now = 30.0
    assert site.status("/startupz") == 200


def test_draining_is_not_ready(site: Site) -> None:
    """Everything else is answered as before."""
    for name in ("orders", "invoices"):
        site.poll(name)
    site.service.draining = True

    assert (site.client.get("/readyz").text, site.status("/readyz")) == ("draining\n", 503)
    assert [site.status(path) for path in ("/livez", "/metrics", "/health")] == [200, 200, 200]


def test_metrics_are_the_targets_and_the_exporters_own(site: Site) -> None:
    """A page Prometheus reads; the product's version is on it."""
    site.poll("orders")
    answer = site.client.get("/metrics")
    families = {family.name: family for family in parse_text(answer.text)}

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert {"pg_lag_seconds", "datatier_up", "datatier_build_info", "process_cpu_seconds"} <= families.keys()
    [size] = families["datatier_scrape_page_bytes"].samples
    assert 0 < size.value < len(answer.content)


def test_openmetrics_ends_as_it_must(site: Site) -> None:
    site.poll("orders")
    answer = site.client.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})

    assert answer.headers["content-type"] == OPENMETRICS
    assert answer.text.endswith("\n# EOF\n")
    assert answer.text.count("# EOF") == 1
    parse: Callable[[str], Iterable[Family]] = parse_openmetrics
    assert "datatier_up" in {family.name for family in parse(answer.text)}


@pytest.mark.parametrize(("accept", "end"), [("text/plain", ""), ("application/openmetrics-text", "# EOF\n")])
def test_a_probe_is_one_targets_part(site: Site, accept: str, end: str) -> None:
    """Read from the snapshot like all else, and without the exporter's own metrics."""
    site.poll("orders")
    site.poll("invoices")
    text = site.client.get("/probe?target=orders", headers={"Accept": accept}).text

    assert 'target="orders"' in text
    assert "invoices" not in text
    assert "process_" not in text
    assert text.endswith(end)


def test_target_names_nothing_on_metrics(site: Site) -> None:
    """Only /probe looks at it."""
    site.poll("orders")

    assert site.status("/metrics?target=nobody") == 200


@pytest.mark.parametrize("path", ["/metrics", "/probe?target=orders"])
def test_gzip_is_the_same_page(site: Site, path: str) -> None:
    """One stream, read whole by a client that would stop after the first; and one for each state."""
    site.poll("orders")
    plain = site.client.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers

    for _ in range(2):
        packed = site.client.get(path, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["vary"] == "Accept, Accept-Encoding"
        assert names(packed.text) == names(plain.text)

    site.poll("orders", 16.0, lag=7.5)
    assert 'pg_lag_seconds{target="orders"} 7.5' in site.client.get(path, headers={"Accept-Encoding": "gzip"}).text


def names(text: str) -> list[str]:
    return [line.partition(" ")[0] for line in text.splitlines() if not line.startswith("#")]


def test_no_secret_is_on_any_page(site: Site) -> None:
    """Neither a password, nor an address, nor what a server said."""
    site.fail("orders")
    site.publish(Events(watched("invoices")).failed_result(1.0))
    pages = [site.client.get(path).text for path in [*PATHS, "/health/targets/nobody", "/nothing"]]

    assert not [page for page in pages if "hunter22" in page or "@h" in page or "db1.example" in page]


def test_the_start_page_leads_on(site: Site) -> None:
    answer = site.client.get("/")

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert all(f'href="{path}"' in answer.text for path in ("/metrics", "/health", "/livez", "/startupz", "/readyz"))


def test_health_is_json_that_people_can_read(site: Site) -> None:
    text = site.client.get("/health").text

    assert text.count("\n") > 10
    assert json.loads(text)["serviceId"] == "datatier-exporter"
