"""What a hostile server may say: a reason, little memory, a loop that goes on, and no password."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from exporter.datastores import open_datastore
from exporter.errors import QueryError
from exporter.polling.execution import within_deadline
from testkit.hostile_postgres import (
    OK,
    READY,
    Hostile,
    Speech,
    drip,
    endless,
    garbage,
    greeting,
    huge,
    message,
    notice,
    parameter,
    row,
)
from tests.support.collect import target_of

STORES = ("postgres", "pgbouncer")
MEBIBYTE = 1 << 20
MOST_MEMORY = 64 * MEBIBYTE
SLOW = 0.5  # seconds that the loop may work at one piece


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    with Hostile() as server:
        yield server


@asynccontextmanager
async def watched_loop() -> AsyncIterator[list[float]]:
    """Measure for how long the loop's thread worked before it went on; others' work on the machine does not count."""
    spells: list[float] = [0.0]

    async def tick() -> None:
        while True:
            began = time.thread_time()
            await asyncio.sleep(0.01)
            spells.append(time.thread_time() - began)

    task = asyncio.create_task(tick())
    yield spells
    task.cancel()


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def outcome(settings: dict[str, Any], seconds: float = 5.0) -> QueryError | None:
    """Ping once, as the poller does."""
    async with open_datastore(target_of(settings)) as datastore:
        try:
            await within_deadline(datastore.ping, seconds, datastore.reason)
        except QueryError as error:
            return error
    return None


HARMS: dict[str, tuple[Callable[[], Speech], str]] = {
    "parameters": (lambda: endless(lambda n: parameter(f"name{n}", "x" * 20)), "limit"),
    "notices": (lambda: endless(lambda n: notice(f"note {n}")), "limit"),
    "rows": (lambda: endless(lambda n: row(b"%d" % n)), "limit"),
    "empty rows": (lambda: endless(lambda _: row()), "limit"),
    "errors": (lambda: endless(lambda n: message(b"E", b"SERROR\0C42P01\0M%d\0\0" % n)), "limit"),
    "notifications": (lambda: endless(lambda n: message(b"A", b"\0\0\0\1c\0%d\0" % n)), "limit"),
    "huge field": (huge, "limit"),
    "huge parameter": (lambda: huge(b"S", b"name\0"), "limit"),
    "huge error": (lambda: huge(b"E", b"SFATAL\0M"), "limit"),
    "huge description": (lambda: huge(b"T", b"\0\1"), "limit"),
    "garbage": (garbage, ""),
    "http": (lambda: iter([b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100]), "decode"),
    "drip": (lambda: drip(greeting()), "timeout"),
    "silence": (lambda: iter([600.0]), "timeout"),
}  # fmt: skip


def entry_of(hostile: Hostile, store: str) -> dict[str, Any]:
    place = "pgbouncer" if store == "pgbouncer" else "postgres"
    return hostile.target("db", store=store, url=f"postgresql://monitor@127.0.0.1:{hostile.port}/{place}")


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("when", ["login", "answer"])
async def test_whatever_is_said_is_bounded(hostile: Hostile, when: str, store: str) -> None:
    """At the login and in answer to a statement: a reason within the deadline, and memory that stays."""
    settings = entry_of(hostile, store)
    assert await outcome(settings) is not None  # its answers are no ping's, but all is imported
    before = peak()
    for name, (harm, reason) in HARMS.items():
        hostile.login, hostile.answer = (harm, None) if when == "login" else (None, harm)
        async with watched_loop() as spells:
            error = await outcome(settings, 1.0 if reason == "timeout" else 5.0)

        assert error is not None, name
        expected = {reason} if reason else {"limit", "decode"}
        if (name, when) == ("errors", "login"):
            expected = {"query", "connect"}  # the first ends it
        if name in ("http", "empty rows"):
            expected = {"limit", "decode"}  # read as a message of a gigabyte; as rows without their columns
        assert error.reason in expected, (name, str(error))
        assert len(str(error)) < 300, name
        assert max(spells) < SLOW, (name, max(spells))
    assert peak() - before < MOST_MEMORY, (peak() - before) / MEBIBYTE


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("rounds", ["2000000000", "99999999999999999999", "0", "-1", "x"])
async def test_rounds_of_scram_beyond_the_bound_are_refused(hostile: Hostile, rounds: str, store: str) -> None:
    """They would keep the loop for minutes, and stop the watch of all other targets."""
    hostile.rounds = rounds
    began = time.monotonic()
    error = await outcome(entry_of(hostile, store))

    assert error is not None
    assert error.reason == ("limit" if rounds == "2000000000" else "decode"), str(error)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("store", STORES)
async def test_server_without_proof_of_the_password_is_rejected(hostile: Hostile, store: str) -> None:
    """A server that ends SCRAM before its proof, or asks for a second login in clear, is none of ours."""
    for said, words in (
        (b"SCRAM", "did not prove that it knows the password"),
        (b"OK", "without proving that it knows the password"),
        (b"CLEAR", "a kind that the exporter does not know"),
    ):
        hostile.rounds, hostile.proof = "4096", said
        error = await outcome(entry_of(hostile, store))
        assert error is not None, said
        assert (error.reason, words in str(error)) == ("auth", True), str(error)
    assert b"secret\0" not in hostile.heard


@pytest.mark.parametrize(
    "version", ["", "abc", "99999999999999999999", "x" * 100_000, "-1", "0", "18\n", "18." + "9" * 999, "١٨", None]
)
async def test_a_version_that_cannot_be_read(hostile: Hostile, version: str | None) -> None:
    hostile.greeting = OK + READY if version is None else greeting(version)
    error = await outcome(hostile.target("db"))

    assert error is not None
    assert (error.reason, str(error)) == ("decode", "the server does not say a version of PostgreSQL that can be read")


@pytest.mark.parametrize("store", STORES)
async def test_a_password_is_not_sent_twice_in_clear(hostile: Hostile, store: str) -> None:
    """Forbidden once, it does not go out by another attempt without TLS either."""
    hostile.clear = True
    for words in ("require_auth=scram-sha-256", "require_auth=!password", "channel_binding=require"):
        entry = entry_of(hostile, store)
        error = await outcome(entry | {"url": f"{entry['url']}?{words}"})
        assert error is not None
        assert error.reason == "auth"
    assert hostile.heard == []
