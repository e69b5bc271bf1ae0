"""The sampler lane takes the steps of operations between polls."""

import asyncio

import pytest

from exporter.errors import QueryError
from exporter.polling.execution import failed_canary
from exporter.queries.conditions import Conditions
from exporter.queries.health_rule import HealthRule
from exporter.queries.operation import Operation, States, run_operation
from tests.support.factories import metric, monitored_target, query
from tests.support.fakes import FAST, HANG, Fake, Watch, asked, seen
from tests.support.virtual_time import virtual_time


@pytest.fixture
def anyio_backend(monkeypatch: pytest.MonkeyPatch) -> object:
    return virtual_time(monkeypatch)


STEPPING = asked("sampler", step_every=0.01)


async def test_steps_are_taken_between_the_polls() -> None:
    """On a connection of their own: a slow query delays no step."""
    async with Watch(Fake(slow=HANG), STEPPING, asked("slow", timeout="4s"), target=monitored_target()) as watch:
        await watch.until(lambda: watch.fake.asked.count("sampler sampler") >= 5)

        assert watch.fake.asked.count("fast sampler") == 1


async def test_rows_are_read_in_the_lane_of_the_query() -> None:
    watch = await seen(1, Fake(), STEPPING)

    assert [result.query.name for result in watch.results()] == ["sampler"]


async def test_failed_step_fails_its_query_until_one_succeeds() -> None:
    """The sums would stand still, and look like a server without slow statements."""
    fake = Fake(sampler=PermissionError("no"))
    async with Watch(fake, STEPPING, target=FAST) as watch:
        await watch.until(lambda: "auth" in watch.reasons("sampler"))
        fake.answers["sampler"] = []
        await watch.until(lambda: watch.reasons("sampler")[-1] is None)


async def test_failed_step_is_not_repeated_before_the_next_poll() -> None:
    """Each would be one more login on a server that has no room for any."""
    fake = Fake(sampler=ConnectionRefusedError("no"))
    async with Watch(fake, STEPPING, target=monitored_target()) as watch:
        await watch.until(lambda: "sampler sampler" in fake.asked)
        await asyncio.sleep(0.2)  # the time of 20 steps

    assert fake.asked.count("sampler sampler") == 1


async def test_failed_sampler_session_fails_the_query() -> None:
    fake = Fake()
    async with Watch(fake, STEPPING, target=FAST) as watch:
        await watch.until(lambda: watch.results("sampler") != [])
        fake.opening = ConnectionRefusedError("no")
        await watch.until(lambda: watch.reasons("sampler")[-1] == "connect")


async def test_target_that_is_down_is_not_sampled() -> None:
    fake = Fake()
    fake.pinged = ConnectionRefusedError("no")
    async with Watch(fake, STEPPING, target=FAST) as watch:
        await watch.polls(3)

    assert set(fake.asked) == {"ping"}


async def test_step_and_rows_share_the_state() -> None:
    async def step(_session: object, _params: object, state: list[int]) -> None:
        state.append(len(state))

    async def rows(_session: object, _params: object, state: list[int]) -> list[dict[str, object]]:
        return [{"steps": len(state)}]

    operations = {"count": Operation(rows, state=list, step=step, every=1.0)}
    states: States = {}
    counting = query(query=None, operation="count")
    for _ in range(3):
        assert await run_operation(operations, states, None, counting, None, step=True) == ()

    assert await run_operation(operations, states, None, counting, None) == [{"steps": 3}]


CANARY = query(
    "canary",
    timing=True,
    health=HealthRule(check="canary", metric="datatier_query_seconds", warn_above=0.1, fail_above=1.0),
)


@pytest.mark.parametrize(("seconds", "status"), [(0.05, "pass"), (0.5, "warn"), (1.5, "fail")])
def test_canary_is_checked_by_its_duration(seconds: float, status: str) -> None:
    [outcome] = CANARY.outcomes([], [], seconds)

    assert (outcome.status, outcome.value) == (status, seconds)


async def test_failed_canary_fails_its_check() -> None:
    """A search that fails is worse than a slow one."""
    watch = await seen(1, Fake(canary=RuntimeError("no such index")), CANARY)
    [outcome] = watch.results()[0].outcomes

    assert (outcome.check, outcome.status) == ("canary", "fail")
    assert failed_canary(CANARY, QueryError("unsupported", "needs version >=99")) == ()
    assert failed_canary(asked(metrics=(metric(),)), QueryError("timeout", "")) == ()


@pytest.mark.parametrize(
    ("configured", "wanted"), [(None, True), ("url", True), ("absent", False), ("labels.region", False)]
)
def test_query_runs_only_if_its_option_is_configured(configured: str | None, wanted: bool) -> None:  # noqa: FBT001 - a table
    target = type("Target", (), {"url": "x", "absent": None, "labels": {}})()

    assert Conditions(configured=configured).wanted(target) is wanted
