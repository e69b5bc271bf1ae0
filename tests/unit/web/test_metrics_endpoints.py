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
from tests.support.app_client import Site

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


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


def test_discovery_leads_to_probes(site: Site) -> None:
    """At the address, and by the scheme, that the client came by; each entry's page is its target's."""
    entries = site.client.get("https://exporter.example:8443/sd").json()

    assert {(tuple(entry["targets"]), entry["labels"]["__scheme__"]) for entry in entries} == {
        (("exporter.example:8443",), "https")
    }
    for entry in entries[:-1]:
        labels = entry["labels"]
        page = site.client.get(labels["__metrics_path__"], params={"target": labels["__param_target"]})
        assert f'datatier_up{{store="{labels["store"]}",target="{labels["target"]}"}}' in page.text
    assert [entry["labels"]["target"] for entry in entries] == ["orders", "invoices", "exporter"]


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text"])
def test_the_exporters_own_part(site: Site, accept: str) -> None:
    """For those who scrape each target by itself: all that is on the page of all, and of no target."""
    site.poll("orders")
    site.service.exposition.set_exporter_metrics({"datatier_tls_not_after_timestamp_seconds": 7.0})
    own = site.client.get("/probe?target=exporter", headers={"Accept": accept}).text
    whole = site.client.get("/metrics", headers={"Accept": accept}).text
    parts = [
        site.client.get(f"/probe?target={name}", headers={"Accept": accept}).text for name in ("orders", "invoices")
    ]

    assert "datatier_build_info" in own
    assert "datatier_config_last_reload_successful" in own
    assert 'datatier_tls_not_after_timestamp_seconds{store="exporter",target="exporter"} 7.0' in own
    assert set(names(whole)) == {name for part in (own, *parts) for name in names(part)}
    assert own.endswith("# EOF\n") is (accept != "text/plain")


def test_a_reload_has_to_be_allowed(site: Site) -> None:
    """By the configuration; otherwise anybody who reaches the port could have the files read all the time."""
    answer = site.client.post("/-/reload")

    assert (answer.status_code, answer.text) == (403, "not enabled; the configuration must say web: {reload: true}\n")


def test_a_reload_is_answered_with_its_outcome() -> None:
    """Applied, or every problem of the files, a line each."""
    problems: list[str] = []

    def load() -> RuntimeConfig:
        if problems:
            raise ConfigError(problems)
        return RuntimeConfig(made.service.config, ())

    made = Site(load)
    made.configure(web=Web(reload=True))
    with made.client:
        applied = made.client.post("/-/reload")
        problems += ["datatier.yaml:3: targets: required, but not there", "datatier.yaml:4: no: unknown key"]
        refused = made.client.post("/-/reload")

    assert (applied.status_code, applied.text) == (200, "reloaded\n")
    assert (refused.status_code, refused.text.splitlines()) == (500, problems)
    assert refused.headers["content-type"] == "text/plain; charset=utf-8"


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


def test_a_large_page_is_sent_in_blocks(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, with its length told, and by its head alone to who asks for that."""
    site.poll("orders")
    small = site.client.get("/probe?target=orders", headers={"Accept-Encoding": "identity"})
    monkeypatch.setattr(page, "BLOCK", 100)
    site.poll("orders")
    large = site.client.get("/probe?target=orders", headers={"Accept-Encoding": "identity"})
    head = site.client.head("/probe?target=orders", headers={"Accept-Encoding": "identity"})

    assert names(large.text) == names(small.text)
    assert int(large.headers["content-length"]) == len(large.content) == int(head.headers["content-length"])
    assert head.content == b""


def names(text: str) -> list[str]:
    return [line.partition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
