"""Whatever is asked, in whatever words or bytes: an answer that is documented, or none; never a fault of ours."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS

from exporter import app, health_pages, html_pages, service
from tests.health_schema import SCHEMA
from tests.making import at
from tests.site import Site
from tests.web_site import WebSite

TEXT = {"text/plain": {"schema": {"type": "string"}}}
HTML = {"text/html": {"schema": {"type": "string"}}}
METRICS = TEXT | {"application/openmetrics-text": {"schema": {"type": "string"}}}
JSON: dict[str, Any] = {"application/json": {"schema": {"type": ["array", "object"]}}}
HEALTH: dict[str, Any] = {"application/health+json": {"schema": SCHEMA}, **TEXT}
PAGES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "/": (HTML, ()),
    "/targets/{name}": (HTML | TEXT, ()),
    "/metrics": (METRICS, ()),
    "/probe": (METRICS, ("target",)),
    "/sd": (JSON, ()),
    "/findings": (JSON, ()),
    "/findings/{name}": (JSON | TEXT, ()),
    "/livez": (TEXT, ("verbose", "exclude")),
    "/startupz": (TEXT, ("verbose", "exclude")),
    "/readyz": (TEXT, ("verbose", "exclude")),
    "/health": (HEALTH, ("verbose", "exclude")),
    "/health/groups/{name}": (HEALTH, ("verbose", "exclude")),
    "/health/targets/{name}": (HEALTH, ("role", "max_lag", "max_age", "raw", "verbose")),
}
HEADERS = (
    "Accept",
    "Accept-Encoding",
    "Authorization",
    "Host",
    "X-Prometheus-Scrape-Timeout-Seconds",
    "Range",
    "Cookie",
)
Records = list[logging.LogRecord]
LIKELY = [
    "orders",
    "write",
    "primary",
    "replica",
    "10s",
    "16MiB",
    "1",
    "",
    "1e999s",
    "-1s",
    "9" * 400 + "s",
    "x" * 5000,
    "\x00",
]
CHECKED = ("content_type_conformance", "status_code_conformance", "response_schema_conformance")


def parameter(place: str, name: str) -> dict[str, Any]:
    schema = {"anyOf": [{"enum": LIKELY}, {"type": "string"}]} if place != "header" else {"type": "string"}
    return {"in": place, "name": name, "required": place == "path", "schema": schema}


def operation(content: dict[str, Any], query: tuple[str, ...], path: str) -> dict[str, Any]:
    answer = {"description": "An answer.", "content": content}
    refused = {"description": "Refused.", "content": TEXT}
    inside = [parameter("path", "name")] if "{name}" in path else []
    return {
        "parameters": [
            *inside, *(parameter("query", name) for name in query), *(parameter("header", name) for name in HEADERS)
        ],
        "responses": {"200": answer, "503": answer, "400": refused, "404": refused, "413": refused},
    }  # fmt: skip


@pytest.fixture(scope="module")
def faults() -> Iterator[Records]:
    """Collect what is logged: a traceback is a fault, whatever the answer was."""
    found: Records = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = found.append  # type: ignore[method-assign,assignment]  # all that it has to do
    logging.getLogger().addHandler(handler)
    yield found
    logging.getLogger().removeHandler(handler)


@pytest.fixture(scope="module")
def api(faults: Records) -> Iterator[Any]:
    assert not faults
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "instant", lambda: at(0.0))
        site = Site()
        for pages in (app, health_pages, html_pages):
            patch.setattr(pages, "instant", site.clock)
        site.poll("orders")
        site.fail("invoices")
        paths = {path: {"get": operation(*page, path)} for path, page in PAGES.items()}
        document = {"openapi": "3.1.0", "info": {"title": "datatier-exporter", "version": "1"}, "paths": paths}
        schema = schemathesis.openapi.from_dict(document)
        schema.app = site.app
        yield schema
        site.client.close()


@pytest.mark.parametrize("path", PAGES)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_answer_is_as_described(api: Any, path: str, faults: Records, data: st.DataObject) -> None:
    """Status, content type and body conform, and every answer has its headers."""
    case = data.draw(api[path]["GET"].as_strategy())
    answer = case.call()

    case.validate_response(answer, checks=[CHECKS.get_one(name) for name in CHECKED])
    assert answer.headers["x-content-type-options"] == ["nosniff"]
    assert answer.headers["cache-control"] == ["no-store"]
    assert "Traceback" not in answer.text
    assert not faults


METHODS = [b"GET", b"HEAD", b"OPTIONS", b"POST", b"PUT", b"PRI", b"CONNECT", b"TRACE", b"get", b"G\x00T", b""]
ROUTES = [
    *(path.replace("{name}", "orders").encode() for path in PAGES),
    b"/-/reload",
    b"*",
    b"http://x/health",
    b"//",
    b"",
]
VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9.9", b"HTTP/1.1 x", b"http/1.1", b""]
LINES = [
    b"Host: x", b"Host: \xff\xfe", b"Host: a\r\nHost: b", b"Accept: \xe9" + b"a" * 300, b"Connection: close",
    b"Connection: upgrade\r\nUpgrade: websocket", b"Upgrade: h2c",
    b"Expect: 100-continue", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked, gzip", b"Content-Length: 0",
    b"Content-Length: 5", b"Content-Length: -1",
    b"Content-Length: " + b"9" * 30, b"Content-Length: 0\r\nContent-Length: 1", b"Authorization: Basic \xff",
    b"Authorization: Basic " + b"A" * 9000, b"Accept-Encoding: gzip;q=x", b"Accept: */*;q=1;q=2,,,;", b": x", b"x",
    b" folded", b"X: " + b"y" * 70_000, b"\x00: \x00", b"A:\tb\x0bc",
]  # fmt: skip
BODIES = [b"", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"-1\r\n", b"hello", b"\x16\x03\x01\x02\x00", b"\r\n\r\n"]
well_formed = st.tuples(
    st.sampled_from(METHODS) | st.binary(max_size=5),
    st.sampled_from(ROUTES) | st.binary(max_size=20).map(lambda path: b"/" + path),
    st.sampled_from(VERSIONS),
    st.lists(st.sampled_from(LINES) | st.binary(max_size=30), max_size=4),
    st.sampled_from(BODIES) | st.binary(max_size=20),
).map(lambda r: b" ".join(r[:3]) + b"\r\n" + b"".join(line + b"\r\n" for line in r[3]) + b"\r\n" + r[4])


@pytest.fixture(scope="module")
def web_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSite]:
    folder: Path = tmp_path_factory.mktemp("site")
    with WebSite(folder, "http_server_config: {headers: {X-Frame-Options: deny}}", token="hunter22") as made:
        yield made


@settings(max_examples=300, deadline=None)
@given(requests=st.lists(well_formed | st.binary(max_size=200), min_size=1, max_size=3))
def test_any_bytes_are_answered_or_cut(web_site: WebSite, faults: Records, requests: list[bytes]) -> None:
    """One after another on one connection; the next client is served as ever."""
    with web_site.connect() as client:
        client.settimeout(0.05)
        answer = b""
        try:
            for request in requests:
                client.sendall(request)
                answer += client.recv(65536)
        except OSError:  # it waits for more, or has closed
            pass

    statuses = {line.split(b" ")[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.")}
    assert statuses <= {b"100", b"200", b"400", b"401", b"403", b"404", b"405", b"413", b"431", b"503"}
    assert bool(answer) == bool(statuses)
    assert b"Traceback" not in answer
    assert b"hunter22" not in answer
    assert not faults
    assert web_site.get("/livez").status == 200
