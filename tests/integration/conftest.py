"""Fixtures of several files: the shared Qdrant server, and a collection of a test's own in it."""

import random
from collections.abc import Iterator

import pytest

from tests.integration.qdrant_admin import Admin
from tests.servers.qdrant import Qdrant
from tests.servers.session import Servers


@pytest.fixture(scope="module")
def qdrant(servers: Servers) -> Qdrant:
    """Return the double, which puts HTTP over Qdrant's own engine, or the server of QDRANT_TEST_URL."""
    return servers.qdrant()


@pytest.fixture
def qdrant_admin(qdrant: Qdrant) -> Admin:
    return Admin(qdrant)


@pytest.fixture
def collection(qdrant_admin: Admin) -> Iterator[str]:
    """Make a collection of its own for a test."""
    name = f"test_{random.randrange(10**9)}"
    qdrant_admin.create(name)
    yield name
    qdrant_admin.drop(name)
