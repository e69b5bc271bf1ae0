"""Reload: what changed is watched anew, nothing else notices, and nothing is left of what went."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from exporter.datastores.base import Datastore
from exporter.polling import manager
from exporter.service import Service
from tests.support.factories import query, restored_logs
from tests.support.fakes import Fake
from tests.support.reloading import SIZES, Files, page, polled, run, target
from tests.support.waiting import is_started, until


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    with restored_logs():
        yield


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Fake]]:
    """Return the servers, each opened anew at each start of its poller: the last of a name is the one at work."""
    servers: dict[str, list[Fake]] = {}

    def open_datastore(target: Any) -> Datastore:
        servers.setdefault(target.name, []).append(Stubborn() if target.name == "stubborn" else Fake())
        return servers[target.name][-1]

    monkeypatch.setattr(manager, "open_datastore", open_datastore)
    return servers


async def test_unchanged_targets_notice_nothing(opened: dict[str, list[Fake]]) -> None:
    """Their connections, counts and histories go on."""
    files = Files(target("orders"), target("invoices"))
    async with run(files) as service:
        status, counters = service.snapshot.status["orders"], service.snapshot.counters["orders"]
        files.write(target("orders"), target("parcels"))

        assert await service.reloader.reload() == ()
        await polled(service)
        assert service.snapshot.status["orders"].polls >= status.polls
        assert service.snapshot.status["orders"].since == status.since
        assert service.snapshot.counters["orders"] is counters
        assert [fake.left for fake in opened["orders"]] == [0]


async def test_a_removed_target_is_gone_at_once(opened: dict[str, list[Fake]]) -> None:
    """Its series, its pages, its task and its connections."""
    files = Files(target("orders"), target("invoices"))
    async with run(files) as service:
        service.exposition.page("text", service.now(), "invoices")
        files.write(target("orders"))
        await service.reloader.reload()

        assert 'target="invoices"' not in page(service)
        assert list(service.snapshot.targets) == ["orders"]
        assert [fake.left for fake in opened["invoices"]] == [1]
        assert "invoices" not in {task.get_name() for task in asyncio.all_tasks()}
        assert "invoices" not in service.exposition._pages  # noqa: SLF001 - held memory shows nowhere


async def test_a_new_target_is_watched(opened: dict[str, list[Fake]]) -> None:
    files = Files(target("orders"))
    async with run(files) as service:
        files.write(target("orders"), target("invoices"))
        await service.reloader.reload()
        await polled(service)

        assert 'pg_size_bytes{target="invoices",datname="app"} 1.0' in page(service)
        assert len(opened["invoices"]) == 1


async def test_a_restarted_target_keeps_its_state(opened: dict[str, list[Fake]]) -> None:
    """It is the same server: a load balancer's request in between gets the known state, not unknown."""
    files = Files(target("orders"))
    async with run(files) as service:
        await until(lambda: service.snapshot.state("orders", service.now().monotonic) == "ok")
        status = service.snapshot.status["orders"]
        files.write(target("orders", interval="1h"))
        await service.reloader.reload()
        after = service.snapshot.status["orders"]

        assert (after.state, after.up, after.since) == ("ok", True, status.since)
        assert after.polls >= status.polls
        assert 'datatier_poll_interval_seconds{store="postgres",target="orders"} 3600.0' in page(service)
        await until(lambda: [fake.left for fake in opened["orders"]] == [1, 0])


async def test_a_changed_query_starts_anew(opened: dict[str, list[Fake]]) -> None:
    """Samples of the former query are not served as the new one's; those of other queries stay."""
    other = query("other", metrics=(SIZES.metrics[0].model_copy(update={"name": "pg_other_bytes"}),))
    files = Files(target("orders"), queries=(SIZES, other))
    async with run(files) as service:
        await until(lambda: len(service.snapshot.results["orders"]) == 2)
        files.write(target("orders"), queries=(other,))
        await service.reloader.reload()
        after = page(service)

        assert "pg_size_bytes" not in after
        assert 'query="sizes"' not in after
        assert "pg_other_bytes{" in after
        assert len(opened["orders"]) == 2


async def test_reload_of_another_server_under_the_same_name_begins_anew(opened: dict[str, list[Fake]]) -> None:
    """Nothing of the first is shown for the second."""
    files = Files(target("orders"))
    async with run(files) as service:
        files.write(target("orders", url="postgresql://u@elsewhere/db"))
        await service.reloader.reload()
        first = service.snapshot.status["orders"]

        assert first.polls <= 1
        await polled(service)
        assert [fake.left for fake in opened["orders"]] == [1, 0]


async def test_maintenance_disturbs_no_poller(opened: dict[str, list[Fake]]) -> None:
    """It is a matter of views alone."""
    files = Files(target("orders"))
    async with run(files) as service:
        files.write(target("orders", maintenance=True))
        await service.reloader.reload()

        assert 'datatier_target_maintenance{store="postgres",target="orders"} 1.0' in page(service)
        assert 'pg_size_bytes{target="orders",datname="app"} 1.0' in page(service)
        assert [fake.left for fake in opened["orders"]] == [0]


async def test_a_broken_file_changes_nothing(opened: dict[str, list[Fake]], capsys: pytest.CaptureFixture[str]) -> None:
    """Every problem is in the log and in the answer; the metric says so until a reload succeeds."""
    files = Files(target("orders"))
    async with run(files) as service:
        files.write(target("invoices"))
        files.broken = ["datatier.yaml:3: targets.0.url: required, but not there", "datatier.yaml:4: no: unknown key"]

        assert await service.reloader.reload() == files.broken
        assert list(service.snapshot.targets) == ["orders"]
        assert [fake.left for fake in opened["orders"]] == [0]
        assert reload_metrics(service)["datatier_config_last_reload_successful"] == 0
        before = reload_metrics(service)["datatier_config_last_reload_success_timestamp_seconds"]

        files.broken = []
        assert await service.reloader.reload() == ()
        assert list(service.snapshot.targets) == ["invoices"]
        assert reload_metrics(service)["datatier_config_last_reload_successful"] == 1
        assert reload_metrics(service)["datatier_config_last_reload_success_timestamp_seconds"] > before

    said = capsys.readouterr().out
    assert all(problem in said for problem in ("targets.0.url: required", "no: unknown key"))


def reload_metrics(service: Service) -> dict[str, float]:
    text = service.self_metrics.page("text", service.exposition.page("text", service.now())).decode()
    lines = [line.split() for line in text.splitlines() if line.startswith("datatier_config")]
    return {name: float(value) for name, value in lines}


async def test_many_who_ask_at_once_are_served_by_few_reloads(opened: dict[str, list[Fake]]) -> None:
    """A request while a reload runs gets the outcome of a later one, which read the latest files."""
    files = Files(target("orders"))
    async with run(files) as service:
        outcomes = await asyncio.gather(*(service.reloader.reload() for _ in range(100)))

        assert outcomes == [()] * 100
        assert files.reads <= 2
        assert len(opened["orders"]) == 1


async def test_targets_that_come_and_go_a_hundred_times_leave_nothing(opened: dict[str, list[Fake]]) -> None:
    """Neither tasks nor open connections."""
    files = Files(target("orders"), target("invoices"))
    async with run(files) as service:
        tasks = len(asyncio.all_tasks())
        for number in range(100):
            files.write(target("orders"), *([] if number % 2 == 0 else [target("invoices")]))
            await service.reloader.reload()
        await polled(service)

        assert len(asyncio.all_tasks()) == tasks
        assert sum(fake.entered - fake.left for fake in opened["invoices"]) == 1
        assert sum(fake.left for fake in opened["orders"]) == 0


class Stubborn(Fake):
    """A server whose connections do not close."""

    closed = asyncio.Event()

    async def __aexit__(self, *_: object) -> None:
        with suppress(asyncio.CancelledError):
            await self.closed.wait()
        await self.closed.wait()


async def test_a_poller_that_does_not_end_delays_no_other(
    opened: dict[str, list[Fake]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It publishes nothing more, is left behind after a while, and logged."""
    monkeypatch.setattr(manager, "END_SECONDS", 1.0)
    monkeypatch.setattr(Stubborn, "closed", asyncio.Event())
    files = Files(target("stubborn"), target("invoices"))
    async with run(files) as service:
        files.write(target("stubborn", interval="20ms"), target("invoices"), target("parcels"))
        reload = asyncio.create_task(service.reloader.reload())
        try:
            await until(lambda: "parcels" in service.snapshot.status and service.snapshot.status["parcels"].polls > 0)
            assert not reload.done()
            assert await reload == ()
            await until(lambda: len(opened["stubborn"]) == 2)
        finally:
            Stubborn.closed.set()

    assert "a poller does not end" in capsys.readouterr().out


async def test_reload_reports_and_ignores_what_needs_a_restart(
    opened: dict[str, list[Fake]], capsys: pytest.CaptureFixture[str]
) -> None:
    """At each reload, as long as it is so; the rest is applied."""
    files = Files(target("orders"))
    async with run(files) as service:
        files.write(
            target("orders"),
            target("invoices"),
            listen="127.0.0.1:1",
            drain="1s",
            web={"config_file": "a.yml", "token": "new"},
        )
        for _ in range(2):
            assert await service.reloader.reload() == ()

        assert service.config.listen == "0.0.0.0:9187"
        assert service.config.drain == 1
        assert (service.config.web.config_file, service.config.web.secret_or_none("token")) == (None, "new")
        assert "invoices" in service.snapshot.targets

    said = capsys.readouterr().out
    assert [said.count(f"{key} changes with a restart only") for key in ("listen", "web.config_file")] == [2, 2]
    assert opened["invoices"]


async def test_a_reload_does_not_take_readiness_back(opened: dict[str, list[Fake]]) -> None:
    """Started is started, although a new target was not tried yet."""
    files = Files(target("orders"))
    async with run(files) as service:
        await until(lambda: is_started(service))
        files.write(target("orders"), target("invoices"))
        await service.reloader.reload()
        assert is_started(service)
    assert opened
