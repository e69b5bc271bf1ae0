"""Values picked out of JSON that a server sent, whatever its form is."""

import pytest

from exporter.datastores.json_text import at, number, objects, timestamp, total

PAGE = {"app": {"name": "qdrant", "cores": 4, "docker": True, "none": None}, "shards": [{"id": 1}, None, "x"]}


def test_values_are_found_by_their_keys() -> None:
    """A flag is a number as well; without keys the page itself is taken."""
    assert at(PAGE, "app", "name") == "qdrant"
    assert (number(PAGE, "app", "cores"), number(PAGE, "app", "docker"), number(3)) == (4.0, 1.0, 3.0)
    assert objects(PAGE, "shards") == objects(PAGE["shards"]) == [{"id": 1}]


@pytest.mark.parametrize("page", [PAGE, {}, {"app": []}, {"app": "text"}, [], None, 1])
def test_values_of_another_form_are_missing(page: object) -> None:
    """A page that another version writes differently raises nothing."""
    assert at(page, "app", "none", "deeper") is None
    assert number(page, "app", "name") is None
    assert objects(page, "app") == objects(page, "gone") == []


def test_total_is_of_the_known_values() -> None:
    """Without any known value it is unknown, not 0."""
    assert (total([1.0, None, 2.0]), total([None]), total([])) == (3.0, None, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-21T02:45:10.022324343Z", 1795229110.022324),
        ("2026-11-21T02:43:55", 1795229035.0),
        ("soon", None),
        (None, None),
    ],
)
def test_timestamps_are_read_as_unix_time(text: str | None, seconds: float | None) -> None:
    """Nanoseconds are cut off, a missing zone is UTC, and a text that is no time is None."""
    assert timestamp(text) == seconds
