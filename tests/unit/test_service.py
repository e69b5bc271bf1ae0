"""The running whole: pollers that publish into one snapshot, and what ends it."""

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from exporter.config.config import Config
from exporter.datastores.base import Datastore
from exporter.polling import manager as module
from exporter.queries.query import Query
from exporter.service import Service
from exporter.settings import RuntimeConfig, monitored_target, queries_for
from tests.support.factories import query, restored_logs
from tests.support.fakes import HANG, Fake
from tests.support.waiting import is_started, until

URL = "postgresql://monitor@db1/postgres"


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    with restored_logs():
        yield


def configured(*names: str, **settings: Any) -> Config:
    targets = [{"name": name, "store": "postgres", "url": URL, "interval": "50ms", **settings} for name in names]
    return Config.model_validate({"targets": targets, "thresholds": {"response_seconds": {"warn": 0.1, "fail": 0.2}}})


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Fake]:
    """Return the servers that targets of these names are."""
    servers = {"orders": Fake(), "invoices": Fake()}

    def open_datastore(target: Any) -> Datastore:
        return servers[target.name]

    monkeypatch.setattr(module, "open_datastore", open_datastore)
    return servers


@asynccontextmanager
async def run(config: Config, *queries: Query) -> AsyncIterator[Service]:
    service = Service(RuntimeConfig(config, queries))
    async with service.running():
        yield service


def states(service: Service) -> dict[str, str]:
    return {name: service.snapshot.state(name, service.now().monotonic) for name in service.snapshot.targets}


async def test_every_target_is_polled(fakes: dict[str, Fake]) -> None:
    """All into one snapshot and one page; at the end every datastore is left."""
    async with run(configured("orders", "invoices"), query()) as service:
        await until(lambda: len(service.snapshot.results["orders"]) + len(service.snapshot.results["invoices"]) == 2)
        page = b"".join(service.exposition.page("text", service.now()).blocks()).decode()

    assert 'pg_size_bytes{target="orders",datname="app"} 1.0' in page
    assert 'pg_size_bytes{target="invoices",datname="app"} 1.0' in page
    assert [fake.left for fake in fakes.values()] == [1, 1]


async def test_target_that_hangs_delays_no_other(fakes: dict[str, Fake]) -> None:
    """Nor the start, nor the end."""
    fakes["orders"].pinged = HANG
    async with run(configured("orders", "invoices")) as service:
        await until(lambda: states(service) == {"orders": "down", "invoices": "ok"})

    assert service.crashed is False


async def test_started_is_when_all_were_tried(fakes: dict[str, Fake]) -> None:
    """A store that is down was tried."""
    fakes["orders"].pinged = OSError("refused")
    async with run(configured("orders", "invoices")) as service:
        assert is_started(service) is False
        await until(lambda: is_started(service))


async def test_a_crash_ends_the_process(
    fakes: dict[str, Fake], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is logged and signalled: a process that polls no more would serve frozen data."""
    signals: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", signals.append)
    service = Service(RuntimeConfig(configured("orders"), (query(),)))
    monkeypatch.setattr(service.exposition, "render", crash)
    async with service.running():
        await until(lambda: service.crashed)

    assert (service.crashed, signals, fakes["orders"].left) == (True, [signal.SIGTERM], 1)
    assert "crashed, stopping" in capsys.readouterr().out


def crash(_: object) -> None:
    raise ZeroDivisionError("a bug")


def test_a_target_gets_the_queries_of_its_store_that_are_meant_for_it() -> None:
    """By glob of its name."""
    [target] = configured("orders").targets
    everyone, mine = query("everyone"), query("mine", targets=("ord*", "x"))
    queries = [everyone, mine, query("others", targets=("inv*",)), query("qdrants", store="qdrant")]

    assert queries_for(target, queries) == [everyone, mine]


def test_monitored_targets_are_those_configured() -> None:
    """The target's own interval before the general one; the user's limits before ours."""
    config = configured("orders", required=False, groups=["write"], labels={"cluster": "eu-1"})
    found = monitored_target(config, config.targets[0])

    assert (found.name, found.store, found.interval, found.required) == ("orders", "postgres", 0.05, False)
    assert (found.groups, found.labels, found.response.warn) == (("write",), {"cluster": "eu-1"}, 0.1)
