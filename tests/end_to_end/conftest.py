"""What several files of this folder share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.session import Servers
from tests.support.fault_matrix import Matrix
from tests.support.watched_victims import watched_victims


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Use the event loop of the service."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="module")
def matrix(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """Watch a victim of each store; write down what was measured when all faults of a file are over."""
    with watched_victims(servers, tmp_path_factory.mktemp("scraper")) as matrix:
        yield matrix
    if file := os.environ.get("FAULT_MATRIX"):
        matrix.save(Path(file))
