"""What every fuzz test of the pages watches."""

import logging
from collections.abc import Iterator

import pytest

Records = list[logging.LogRecord]


@pytest.fixture(scope="module")
def faults() -> Iterator[Records]:
    """Collect what is logged: a traceback is a fault, whatever the answer was."""
    found: Records = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = found.append  # type: ignore[method-assign,assignment]  # all that it has to do
    logging.getLogger().addHandler(handler)
    yield found
    logging.getLogger().removeHandler(handler)
