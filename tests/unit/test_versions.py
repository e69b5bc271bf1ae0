"""Versions compare as numbers."""

import pytest

from exporter.versions import version_key, version_satisfies


@pytest.mark.parametrize(
    ("version", "key"),
    [
        ("5.10", (5, 10)),
        ("5.1", (5, 1)),
        ("15.0", (15,)),
        ("15.18 (Debian 15.18-1.pgdg13+1)", (15, 18)),
        ("v1.12.0-dev", (1, 12)),
        ("16beta1", (16,)),
        ("2026.02.0", (2026, 2)),
        ("unknown", ()),
        ("", ()),
    ],
)
def test_version_key_is_the_leading_number(version: str, key: tuple[int, ...]) -> None:
    """What follows the number does not matter, nor do zeros at its end."""
    assert version_key(version) == key


@pytest.mark.parametrize(
    ("version", "specifier", "satisfied"),
    [
        ("15", ">=15,<18", True),
        ("17.9", ">=15,<18", True),
        ("18.0", ">=15,<18", False),
        ("14.20", ">=15", False),
        ("5.10", ">5.9", True),
        ("5.10", "==5.1", False),
        ("5.1.0", "==5.1", True),
        ("5.26.1", "<=5.26", False),
        ("5.26.0", "<=5.26", True),
        ("9.6", " >= 9.6 , < 10 ", True),
    ],
)
def test_every_clause_must_hold(version: str, specifier: str, satisfied: bool) -> None:  # noqa: FBT001 - a table's column
    """A comma means and; missing parts are zeros."""
    assert version_satisfies(version, specifier) == satisfied
