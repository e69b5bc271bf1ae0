import asyncio
import time
from collections import Counter
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.datastores.backup_sets.backup import SetFacts
from exporter.datastores.backups.look import Found, Look, UnfinishedError
from exporter.datastores.backups.places.place import GoneError
from exporter.errors import QueryError, Reason
from tests.support.backup_sets import GOOD, Formats, facts, reader
from tests.support.virtual_time import virtual_time


@pytest.fixture
def anyio_backend(monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[str, Any]]:
    return virtual_time(monkeypatch)


async def test_read_first_pass_looks_at_every_set() -> None:
    formats = Formats()

    page = await reader(formats, "daily", "weekly").read()

    assert formats.looked_at == ["daily", "weekly"]
    assert [(one.check, one.of, one.format, one.now) for one in page] == [
        ("daily", "orders", "auto", time.time()),
        ("weekly", "orders", "auto", time.time()),
    ]
    assert page[0].facts == SetFacts(time.time(), (GOOD,))


@pytest.mark.parametrize(("every", "looks"), [("5m", 10), ("2h", 5), ("1d", 2), ("90d", 2)])
async def test_read_looks_at_a_set_at_its_own_pace(every: str, looks: int) -> None:
    formats = Formats()
    sets = reader(formats, "daily", every=every)

    for _ in range(10):
        await sets.read()
        await asyncio.sleep(60.0)

    assert len(formats.looks) == looks


async def test_read_set_not_due_gives_its_last_facts() -> None:
    sets = reader(Formats(), "daily")
    first = await facts(sets)
    await asyncio.sleep(60.0)

    assert await facts(sets) == first


async def test_read_hanging_set_times_out_and_others_are_read() -> None:
    formats = Formats(daily="hang")
    began = time.monotonic()

    found = await facts(reader(formats, "daily", "weekly", "monthly"))

    assert time.monotonic() - began < 30
    assert str(found["daily"].error) == "the place did not answer within 20 s"
    assert found["weekly"].backups == found["monthly"].backups == (GOOD,)


async def test_read_all_hang_pass_ends_and_the_next_begins_with_the_others() -> None:
    names = [f"set{number}" for number in range(6)]
    formats = Formats(**dict.fromkeys(names, "hang"))
    sets = reader(formats, *names)
    began = time.monotonic()
    await sets.read()

    assert time.monotonic() - began <= 45
    assert formats.looked_at == names[:4]
    await asyncio.sleep(60.0)
    await sets.read()
    assert formats.looked_at[4:6] == names[4:]


async def test_read_looks_at_two_sets_at_once_at_most() -> None:
    running: list[int] = [0]

    class Counting(Formats):
        async def __call__(self, look: Look) -> Found:
            running.append(running[-1] + 1)
            await asyncio.sleep(1.0)
            running.append(running[-1] - 1)
            return await super().__call__(look)

    await reader(Counting(), *"abcdef").read()

    assert max(running) == 2


@pytest.mark.parametrize("reason", ["connect", "timeout", "auth"])
async def test_read_place_not_reached_keeps_the_facts(reason: Reason) -> None:
    formats = Formats()
    sets = reader(formats, "daily")
    before = (await facts(sets))["daily"]
    formats.found["daily"] = QueryError(reason, "refused")
    await asyncio.sleep(300.0)

    after = (await facts(sets))["daily"]

    assert after.error is formats.found["daily"]
    assert (after.backups, after.observed_at) == (before.backups, before.observed_at)


@pytest.mark.parametrize("reason", ["limit", "privilege", "decode", "unsupported"])
async def test_read_facts_that_may_be_wrong_vanish(reason: Reason) -> None:
    formats = Formats()
    sets = reader(formats, "daily")
    before = (await facts(sets))["daily"]
    formats.found["daily"] = QueryError(reason, "read weekly/")
    await asyncio.sleep(300.0)

    after = (await facts(sets))["daily"]

    assert after == SetFacts(before.observed_at, error=after.error, known=False)
    assert after.error is formats.found["daily"]


async def test_read_after_a_failure_looks_again_in_the_next_pass() -> None:
    formats = Formats(daily=QueryError("connect", "refused"))
    sets = reader(formats, "daily")
    await sets.read()
    del formats.found["daily"]
    await asyncio.sleep(60.0)

    assert await facts(sets) == {"daily": SetFacts(time.time(), (GOOD,))}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("TOC"), "decode"),
        (RecursionError(), "decode"),
        (OSError(24, "Too many open files"), "connect"),
        (MemoryError(), "connect"),
        (GoneError("a"), "connect"),
        (TimeoutError(), "timeout"),
    ],
)
async def test_read_unforeseen_error_is_of_its_set_alone(error: Exception, reason: Reason) -> None:
    found = await facts(reader(Formats(daily=error), "daily", "weekly"))

    assert found["daily"].error is not None
    assert found["daily"].error.reason == reason
    assert found["weekly"] == SetFacts(time.time(), (GOOD,))


async def test_read_error_keeps_no_frames() -> None:
    error = (await facts(reader(Formats(daily=KeyError("\x1b[31m")), "daily")))["daily"].error

    assert error is not None
    assert "\x1b" not in str(error)
    assert error.__cause__ is not None
    assert error.__cause__.__traceback__ is None


async def test_read_unforeseen_error_forgets_what_the_format_remembered() -> None:
    formats = Formats()
    sets = reader(formats, "daily")
    await sets.read()
    formats.looks[0].memory.progress = "a trap"
    formats.found["daily"] = KeyError("a trap")
    await asyncio.sleep(300.0)
    await sets.read()
    await asyncio.sleep(60.0)
    await sets.read()

    assert [look.memory.progress for look in formats.looks] == ["a trap", "a trap", None]


async def test_read_unfinished_listing_goes_on_in_the_next_pass_with_its_memory() -> None:
    formats = Formats()
    sets = reader(formats, "daily")
    before = await facts(sets)
    formats.found["daily"] = UnfinishedError()
    await asyncio.sleep(300.0)

    assert await facts(sets) == before
    del formats.found["daily"]
    await asyncio.sleep(60.0)
    assert await facts(sets) == {"daily": SetFacts(time.time(), (GOOD,))}
    assert len({id(look.memory) for look in formats.looks}) == 1


async def test_read_gives_a_listing_less_time_than_the_look_has() -> None:
    formats = Formats()

    await reader(formats, "daily").read()

    assert 5 < formats.looks[0].until - time.monotonic() < 20


async def test_read_cancelled_leaves_the_facts_and_looks_again() -> None:
    formats = Formats()
    sets = reader(formats, "daily", "weekly")
    before = await facts(sets)
    await asyncio.sleep(300.0)
    formats.found["daily"] = "hang"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5.0):
            await sets.read()
    del formats.found["daily"]
    await asyncio.sleep(60.0)
    after = await facts(sets)

    assert before["daily"].observed_at != after["daily"].observed_at == time.time()
    assert after["daily"].backups == (GOOD,)


async def test_read_while_another_lane_reads_returns_what_is_known() -> None:
    formats = Formats(daily="hang")
    sets = reader(formats, "daily")
    first = asyncio.ensure_future(sets.read())
    await asyncio.sleep(1.0)

    assert await facts(sets) == {"daily": SetFacts()}
    assert formats.looked_at == ["daily"]
    await first


async def test_read_logs_when_a_set_fails_and_when_it_can_be_read_again() -> None:
    formats = Formats()
    sets = reader(formats, "daily")
    with capture_logs() as events:
        for found in (GOOD, *[QueryError("privilege", "read secret.dump: denied")] * 3, GOOD, GOOD):
            formats.found["daily"] = found
            await sets.read()
            await asyncio.sleep(300.0)

    told = [(event["event"], event["target"], event["set"]) for event in events if event["log_level"] != "debug"]
    assert told == [
        ("set of backups cannot be read", "nas", "daily"),
        ("set of backups can be read again", "nas", "daily"),
    ]
    assert all("secret" not in str(event) for event in events if event["log_level"] != "debug")


@pytest.mark.parametrize("seed", range(20))
async def test_read_whatever_sets_do_each_gets_its_turn_and_a_pass_ends(seed: int) -> None:
    random = Random(seed)
    names = [f"set{number}" for number in range(14)]
    running = Counter[str]()

    class Moody(Formats):
        async def __call__(self, look: Look) -> Found:
            running["now"] += 1
            running["most"] = max(running["most"], running["now"])
            try:
                await asyncio.sleep(random.choice([0.0, 0.1, 3.0, 14.0]))
                self.found[look.chosen.name] = random.choice(["hang", GOOD, GOOD, OSError(), UnfinishedError()])
                return await super().__call__(look)
            finally:
                running["now"] -= 1

    formats = Moody()
    sets = reader(formats, *names)
    for _ in range(10):
        began = time.monotonic()
        await sets.read()
        assert time.monotonic() - began <= 45
        await asyncio.sleep(60 - (time.monotonic() - began))

    assert set(formats.looked_at) == set(names)
    assert running["most"] == 2
