"""The pages behind nginx, below a path of its own, as docs/configuration.md sets it up."""

import json
from urllib.parse import urljoin

import pytest

from tests.documented import pieces
from tests.html_tree import read_html
from tests.integration.exporter_process import Exporter, get
from tests.servers.nginx import Nginx
from tests.servers.process import free_port


def documented_nginx(exporter: int) -> Nginx:
    [location] = pieces("configuration.md", "nginx")
    assert location.count("127.0.0.1:9187") == 1
    return Nginx(location.replace(":9187", f":{exporter}"))


@pytest.mark.usefixtures("needs_nginx")
def test_links_and_discovery_lead_through_the_proxy() -> None:
    """Only when the proxy is trusted does it say where the pages are; the links need no configuration."""
    nowhere = {"name": "orders", "store": "postgres", "url": f"postgresql://u@127.0.0.1:{free_port()}"}
    with (
        Exporter([nowhere], web={"trusted_proxies": ["127.0.0.0/8"]}) as exporter,
        documented_nginx(exporter.port) as nginx,
    ):
        statuses = {path: get(nginx.port, path).status for path in reachable(nginx.port, "/datatier")}
        entries = json.loads(get(nginx.port, "/datatier/sd").body)
        scraped = [get(nginx.port, address(entry)) for entry in entries]
        direct = json.loads(exporter.get("/sd").body)
        exporter.reload([nowhere], web={})
        distrusted = json.loads(get(nginx.port, "/datatier/sd").body)

    assert {"/datatier/", "/datatier/targets/orders", "/datatier/health", "/datatier/metrics"} <= statuses.keys()
    assert {path: status for path, status in statuses.items() if status not in (200, 503)} == {}
    assert {entry["targets"][0] for entry in entries} == {f"127.0.0.1:{nginx.port}"}
    assert all(page.status == 200 and b"datatier_" in page.body for page in scraped)
    assert direct[0]["targets"] == [f"127.0.0.1:{exporter.port}"]
    assert [entry["labels"]["__metrics_path__"] for entry in (direct[0], distrusted[0])] == ["/probe", "/probe"]


def reachable(port: int, start: str) -> set[str]:
    """Return every path that links lead to from a page of HTML, as a browser resolves them."""
    found, new = set[str](), {start}
    while new:
        path = new.pop()
        found.add(path)
        answer = get(port, path)
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            here = answer.address
            links = {urljoin(here, link.attributes["href"]) for link in read_html(answer.body.decode()).all("a")}
            assert [link for link in links if not link.startswith(f"http://127.0.0.1:{port}/")] == []
            new |= {link.removeprefix(f"http://127.0.0.1:{port}") for link in links} - found
    return found


def address(entry: dict[str, dict[str, str]]) -> str:
    labels = entry["labels"]
    return f"{labels['__metrics_path__']}?target={labels['__param_target']}"
