"""The pages for Prometheus, service discovery and reload."""

from collections.abc import Callable, Iterable

import pytest
from prometheus_client import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.config.config import Web
from exporter.errors import ConfigError
from exporter.exposition import page
from exporter.settings import RuntimeConfig
from tests.support.app_client import AppClient

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def test_metrics_are_those_of_targets_and_exporter(app_client: AppClient) -> None:
    """Prometheus can parse the page; it has the version of the exporter."""
    app_client.poll("orders")
    answer = app_client.client.get("/metrics")
    families = {family.name: family for family in parse_text(answer.text)}

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert {"pg_lag_seconds", "datatier_up", "datatier_build_info", "process_cpu_seconds"} <= families.keys()
    [size] = families["datatier_scrape_page_bytes"].samples
    assert 0 < size.value < len(answer.content)


def test_openmetrics_page_ends_with_eof(app_client: AppClient) -> None:
    app_client.poll("orders")
    answer = app_client.client.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})

    assert answer.headers["content-type"] == OPENMETRICS
    assert answer.text.endswith("\n# EOF\n")
    assert answer.text.count("# EOF") == 1
    parse: Callable[[str], Iterable[Family]] = parse_openmetrics
    assert "datatier_up" in {family.name for family in parse(answer.text)}


@pytest.mark.parametrize(("accept", "end"), [("text/plain", ""), ("application/openmetrics-text", "# EOF\n")])
def test_probe_serves_one_target(app_client: AppClient, accept: str, end: str) -> None:
    """Without the metrics of the exporter itself."""
    app_client.poll("orders")
    app_client.poll("invoices")
    text = app_client.client.get("/probe?target=orders", headers={"Accept": accept}).text

    assert 'target="orders"' in text
    assert "invoices" not in text
    assert "process_" not in text
    assert text.endswith(end)


def test_discovery_lists_a_probe_for_each_target(app_client: AppClient) -> None:
    """At the address and scheme of the request; each entry leads to the page of its target."""
    entries = app_client.client.get("https://exporter.example:8443/sd").json()

    assert {(tuple(entry["targets"]), entry["labels"]["__scheme__"]) for entry in entries} == {
        (("exporter.example:8443",), "https")
    }
    for entry in entries[:-1]:
        labels = entry["labels"]
        page = app_client.client.get(labels["__metrics_path__"], params={"target": labels["__param_target"]})
        assert f'datatier_up{{store="{labels["store"]}",target="{labels["target"]}"}}' in page.text
    assert [entry["labels"]["target"] for entry in entries] == ["orders", "invoices", "exporter"]


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text"])
def test_probe_of_the_exporter_serves_the_rest(app_client: AppClient, accept: str) -> None:
    """All that is on /metrics and on no page of a target, for setups that scrape each target by itself."""
    app_client.poll("orders")
    app_client.service.exposition.set_exporter_metrics({"datatier_tls_not_after_timestamp_seconds": 7.0})
    own = app_client.client.get("/probe?target=exporter", headers={"Accept": accept}).text
    whole = app_client.client.get("/metrics", headers={"Accept": accept}).text
    parts = [
        app_client.client.get(f"/probe?target={name}", headers={"Accept": accept}).text
        for name in ("orders", "invoices")
    ]

    assert "datatier_build_info" in own
    assert "datatier_config_last_reload_successful" in own
    assert 'datatier_tls_not_after_timestamp_seconds{store="exporter",target="exporter"} 7.0' in own
    assert set(names(whole)) == {name for part in (own, *parts) for name in names(part)}
    assert own.endswith("# EOF\n") is (accept != "text/plain")


def test_reload_is_rejected_unless_enabled(app_client: AppClient) -> None:
    """Otherwise every client could make the exporter read its files all the time."""
    answer = app_client.client.post("/-/reload")

    assert (answer.status_code, answer.text) == (403, "not enabled; the configuration must say web: {reload: true}\n")


def test_reload_responds_with_its_outcome() -> None:
    """Success, or a line for each problem of the files."""
    problems: list[str] = []

    def load() -> RuntimeConfig:
        if problems:
            raise ConfigError(problems)
        return RuntimeConfig(made.service.config, ())

    made = AppClient(load)
    made.configure(web=Web(reload=True))
    with made.client:
        applied = made.client.post("/-/reload")
        problems += ["datatier.yaml:3: targets: required, but not there", "datatier.yaml:4: no: unknown key"]
        refused = made.client.post("/-/reload")

    assert (applied.status_code, applied.text) == (200, "reloaded\n")
    assert (refused.status_code, refused.text.splitlines()) == (500, problems)
    assert refused.headers["content-type"] == "text/plain; charset=utf-8"


def test_metrics_ignores_the_parameter_target(app_client: AppClient) -> None:
    """Only /probe reads it."""
    app_client.poll("orders")

    assert app_client.status("/metrics?target=nobody") == 200


@pytest.mark.parametrize("path", ["/metrics", "/probe?target=orders"])
def test_gzip_has_the_same_content(app_client: AppClient, path: str) -> None:
    """In a single gzip stream, as some clients read only the first; a new one for each poll."""
    app_client.poll("orders")
    plain = app_client.client.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers

    for _ in range(2):
        packed = app_client.client.get(path, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["vary"] == "Accept, Accept-Encoding"
        assert names(packed.text) == names(plain.text)

    app_client.poll("orders", 16.0, lag=7.5)
    assert (
        'pg_lag_seconds{target="orders"} 7.5' in app_client.client.get(path, headers={"Accept-Encoding": "gzip"}).text
    )


def test_large_page_is_sent_in_blocks(app_client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Complete, with its length; HEAD returns the headers alone."""
    app_client.poll("orders")
    small = app_client.client.get("/probe?target=orders", headers={"Accept-Encoding": "identity"})
    monkeypatch.setattr(page, "BLOCK", 100)
    app_client.poll("orders")
    large = app_client.client.get("/probe?target=orders", headers={"Accept-Encoding": "identity"})
    head = app_client.client.head("/probe?target=orders", headers={"Accept-Encoding": "identity"})

    assert names(large.text) == names(small.text)
    assert int(large.headers["content-length"]) == len(large.content) == int(head.headers["content-length"])
    assert head.content == b""


def names(text: str) -> list[str]:
    return [line.partition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
