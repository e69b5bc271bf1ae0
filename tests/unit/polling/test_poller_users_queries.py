"""Users' queries run last in a pass, within its deadline."""

import pytest

from tests.support.factories import monitored_target
from tests.support.fakes import HANG, Fake, Watch, asked, one_poll
from tests.support.virtual_time import virtual_time


@pytest.fixture
def anyio_backend(monkeypatch: pytest.MonkeyPatch) -> object:
    return virtual_time(monkeypatch)


async def test_users_queries_run_last() -> None:
    fake = Fake()
    await one_poll(fake, asked("own", untrusted=True), asked("sizes"))

    assert fake.asked == ["ping", "fast sizes", "fast own"]


async def test_query_without_time_left_waits_for_the_next_pass() -> None:
    """It is asked there before the slow one, and never fails for want of time that another took."""
    fake = Fake(slow=HANG)
    async with Watch(
        fake, asked("slow", untrusted=True), asked("good", untrusted=True), target=monitored_target(interval=0.1)
    ) as watch:
        await watch.polls(4)

    assert set(watch.reasons("slow")) == {"timeout"}
    assert set(watch.reasons("good")) == {None}
