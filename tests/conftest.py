"""Fixtures of the whole test session: the real servers, and the application on a clock."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit import Unavailable
from testkit.debian import program
from testkit.qdrant import Qdrant
from testkit.session import Servers
from tests.support.app_client import AppClient
from tests.support.paths import ROOT
from tests.support.qdrant_admin import Admin

LONGEST = (
    "end_to_end/test_live.py",
    "end_to_end/test_fault_matrix_neo4j.py",
    "end_to_end/test_fault_matrix.py",
    "end_to_end/test_rotated_secrets.py",
    "end_to_end/test_changed_secrets.py",
    "end_to_end/test_prometheus.py",
    "integration/neo4j/test_faults.py",
    "end_to_end/test_haproxy.py",
    "repository/programs/test_alert_mutants.py",
    "unit/web/test_protocol.py",
    "unit/test_reload.py",
    "unit/fuzz/test_long_texts.py",
    "repository/test_repository.py",
    "unit/fuzz/test_described_requests.py",
    "unit/fuzz/test_odd_values.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, so that no worker is left with one of them at the end."""
    order = {ROOT / "tests" / file: number for number, file in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(LONGEST)))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio alone, as the service does."""
    return "asyncio"


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Real servers, each started once; they end with the session."""
    servers = Servers()
    yield servers
    servers.close()


@pytest.fixture(scope="module", autouse=True)
def announced(request: pytest.FixtureRequest, servers: Servers) -> None:
    """Start what a module's tests will ask for side by side."""
    items = [item for item in request.session.items if item.path == request.path]
    servers.announce({str(name) for item in items for mark in item.iter_markers("servers") for name in mark.args})


@pytest.fixture
def app_client() -> Iterator[AppClient]:
    """Return the application on a clock that stands at 0 until a test says otherwise."""
    made = AppClient()
    yield made
    made.client.close()


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


@pytest.fixture(scope="session")
def promtool(servers: Servers) -> Path:
    """Return a promtool, which checks metrics and rules."""
    try:
        return program("promtool")
    except Unavailable as reason:
        servers.skip("promtool", str(reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded as their score."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    scores = [score for report in reports for name, score in report.user_properties if name == "score"]
    if scores:
        terminalreporter.section("scores")
        terminalreporter.write("\n".join([*sorted(scores), ""]))
