"""What tests of PostgreSQL share."""

from collections.abc import Iterator

import pytest

from testkit.postgres import Postgres
from testkit.session import Servers


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Use the event loop of the service, whose transports end in their own ways."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="module")
def server(servers: Servers) -> Iterator[Postgres]:
    """Run a server that a file of tests may stop, freeze and change."""
    with servers.private_postgres("18") as server:
        yield server
