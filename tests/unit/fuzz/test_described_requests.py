"""Whatever is asked, in whatever words: an answer that is documented; never a fault of ours."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.app_client import AppClient
from tests.support.fuzz import examples
from tests.support.health_schema import SCHEMA

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
def api(faults: list[object]) -> Iterator[Any]:
    assert not faults
    app_client = AppClient()
    app_client.poll("orders")
    app_client.fail("invoices")
    paths = {path: {"get": operation(*page, path)} for path, page in PAGES.items()}
    document = {"openapi": "3.1.0", "info": {"title": "datatier-exporter", "version": "1"}, "paths": paths}
    schema = import_module("schemathesis").openapi.from_dict(document)  # takes as long to load as all the rest
    schema.app = app_client.app
    yield schema
    app_client.client.close()


@pytest.mark.parametrize("path", PAGES)
@settings(examples(40), suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_answer_is_as_described(api: Any, path: str, faults: list[object], data: st.DataObject) -> None:
    """Status, content type and body conform, and every answer has its headers."""
    case = data.draw(api[path]["GET"].as_strategy())
    answer = case.call()

    known = import_module("schemathesis.checks").CHECKS
    case.validate_response(answer, checks=[known.get_one(name) for name in CHECKED])
    assert answer.headers["x-content-type-options"] == ["nosniff"]
    assert answer.headers["cache-control"] == ["no-store"]
    assert "Traceback" not in answer.text
    assert not faults
