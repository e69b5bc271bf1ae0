"""A condition that is not met names what the server lacks."""

import pytest
from pydantic import ValidationError

from exporter.queries.conditions import Conditions, ServerInfo
from tests.support.factories import info


@pytest.mark.parametrize("specifier", ["15", ">=", "=>15", "~=1.2", ">=15,", "", ">=1.x"])
def test_a_clause_that_is_none_is_refused(specifier: str) -> None:
    """It is an error when the file is read, not when the query runs."""
    with pytest.raises(ValidationError, match="is not a version clause such as '>=15'"):
        Conditions(version=specifier)


@pytest.mark.parametrize("extension", ["", ">=1.5", "pg stat", "Pgstattuple", "pgstattuple>=x"])
def test_an_extension_that_is_none_is_refused(extension: str) -> None:
    with pytest.raises(ValidationError, match="such as"):
        Conditions(extension=extension)


SERVER = info("15.4", role="primary", edition="community", capabilities={"admin": "", "apoc": "needs apoc"})


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({}, None),
        ({"version": ">=15"}, None),
        ({"version": ">=16"}, "needs version >=16"),
        ({"role": "primary"}, None),
        ({"role": "replica"}, "needs role replica"),
        ({"edition": "enterprise"}, "needs edition enterprise"),
        ({"capability": "admin"}, None),
        ({"capability": "apoc"}, "needs apoc"),
        ({"capability": "clustering"}, "needs capability clustering"),
        ({"version": ">=16", "role": "replica"}, "needs version >=16"),
    ],
)
def test_the_first_unmet_condition_is_the_reason(condition: dict[str, str], reason: str | None) -> None:
    """A capability that is known to be absent brings its own reason."""
    assert Conditions.model_validate(condition).unmet(SERVER) == reason


@pytest.mark.parametrize(
    ("extension", "installed", "met"),
    [
        ("pgstattuple", {"pgstattuple": "1.4"}, True),
        ("pgstattuple>=1.5", {"pgstattuple": "1.5"}, True),
        ("pgstattuple>=1.5", {"pgstattuple": "1.4"}, False),
        ("pgstattuple >= 1.5, < 2", {"pgstattuple": "1.10"}, True),
        ("pgstattuple", {}, False),
    ],
)
def test_extensions_have_versions(extension: str, installed: dict[str, str], met: bool) -> None:  # noqa: FBT001 - a table's column
    """An extension is asked for by name, or by name and version."""
    reason = None if met else f"needs extension {extension}"

    assert Conditions(extension=extension).extension_unmet(installed) == reason


def test_conditions_without_an_extension_are_met() -> None:
    assert Conditions().extension_unmet({}) is None


def test_server_info_shortens_what_becomes_a_label() -> None:
    """A console may report a version of 16 MiB, which each page would repeat."""
    info = ServerInfo(version="1" * 10**6, role="r" * 10**6, edition="e" * 10**6, unserved="u" * 10**6)

    assert (info.version, info.role, info.edition, info.unserved) == ("1" * 200, "r" * 200, "e" * 200, "u" * 200)
