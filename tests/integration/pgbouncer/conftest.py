"""What tests of PgBouncer share."""

import pytest


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Use the event loop of the service, whose transports end in their own ways."""
    return "asyncio", {"use_uvloop": True}
