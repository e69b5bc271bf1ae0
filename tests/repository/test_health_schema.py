"""The JSON Schema of /health promises something: what breaks the promise is refused."""

import json
from typing import Any

import jsonschema_rs
import pytest

from exporter.config.stores import STORES
from tests.support.app_client import AppClient
from tests.support.health_schema import SCHEMA, valid


def test_the_schema_is_one() -> None:
    """Of the draft that it names."""
    jsonschema_rs.meta.validate(SCHEMA)

    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_schema_lists_the_stores() -> None:
    """A new store of a release is also a new value of the body."""
    assert set(SCHEMA["$defs"]["target"]["properties"]["store"]["enum"]) == set(STORES)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["status"], "unknown"),
        (["time"], "yesterday"),
        (["version"], "2"),
        (["more"], 1),
        (["notes"], "orders: down"),
        (["targets", "or ders"], {}),
        (["targets", "orders", "state"], "fine"),
        (["targets", "orders", "address"], "db1.example"),
        (["targets", "orders", "reasons"], [{"code": "broken"}]),
        (["targets", "orders", "reasons"], [{"code": "connect", "message": "refused by db1.example"}]),
        (["targets", "orders", "reasons"], [{"code": "starting", "check": "size"}]),
        (["targets", "orders", "data_age_seconds"], -1),
        (["checks", "orders:responseTime"], []),
        (["checks", "orders:responseTime", 0, "status"], "ok"),
        (["checks", "orders:responseTime", 0, "observedValue"], "fast"),
    ],
)
def test_schema_rejects_what_breaks_the_promise(app_client: AppClient, path: list[str | int], value: Any) -> None:
    """A field more, another word, another type; a text that might name an address."""
    app_client.poll("orders")
    body = app_client.health()
    place: Any = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value

    with pytest.raises(jsonschema_rs.ValidationError):
        valid(json.loads(json.dumps(body)))


@pytest.mark.parametrize("field", ["status", "serviceId", "version", "releaseId", "time", "notes", "targets", "checks"])
def test_no_field_goes_away(app_client: AppClient, field: str) -> None:
    body = app_client.health()
    del body[field]

    with pytest.raises(jsonschema_rs.ValidationError):
        valid(body)
