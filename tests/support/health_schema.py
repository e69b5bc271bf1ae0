"""The promise about the body of /health; every body that a test sees is held against it."""

import json
from typing import Any

import jsonschema_rs

from tests.support.paths import DOCS

SCHEMA = json.loads((DOCS / "reference/health.schema.json").read_text())
_VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA, validate_formats=True)


def valid(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body; raise a ValidationError that says what is wrong with it."""
    _VALIDATOR.validate(body)
    return body
