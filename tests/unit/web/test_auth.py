"""Basic authentication: bcrypt runs in a thread, and every wrong guess costs the same."""

import asyncio
import threading

import bcrypt
import pytest

from exporter.web import auth
from exporter.web.auth import PasswordVerifier, TooManyPending
from tests.support.factories import hashed

USERS = {"alice": hashed("wonderland"), "bob": hashed("builder", 5)}


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """Record the cost and the thread of each call of bcrypt."""
    asked: list[tuple[int, str]] = []
    real = bcrypt.checkpw

    def counted(password: bytes, against: bytes) -> bool:
        asked.append((int(against[4:6]), threading.current_thread().name))
        return real(password, against)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    return asked


async def test_password_is_accepted_for_its_user_alone() -> None:
    known = PasswordVerifier()

    assert await known.verify(USERS, "alice", b"wonderland", "a")
    assert await known.verify(USERS, "bob", b"builder", "a")
    for user, password in (("alice", b"builder"), ("bob", b""), ("carol", b"wonderland"), ("", b""), ("alice", b"a\0")):
        assert not await known.verify(USERS, user, password, "a")


async def test_unknown_user_costs_as_much_as_a_known_one(checks: list[tuple[int, str]]) -> None:
    """One check each, at the highest cost, in a thread; also when the password of the dummy hash was guessed."""
    known = PasswordVerifier()
    for user, password in (("bob", b"wrong"), ("carol", b"wrong"), ("carol", b"builder"), ("carol", b"builder")):
        assert not await known.verify(USERS, user, password, "a")

    assert [cost for cost, _ in checks] == [5, 5, 5, 5]
    assert all(thread.startswith("bcrypt") for _, thread in checks)


async def test_right_password_is_checked_once(checks: list[tuple[int, str]]) -> None:
    """A wrong one each time, and a right one again after the hash of the user has changed."""
    known = PasswordVerifier()
    for _ in range(3):
        assert await known.verify(USERS, "alice", b"wonderland", "a")
        assert not await known.verify(USERS, "alice", b"wrong", "a")
    assert len(checks) == 4

    assert await known.verify({"alice": hashed("wonderland")}, "alice", b"wonderland", "a")
    assert not await known.verify({"alice": hashed("changed")}, "alice", b"wonderland", "a")
    assert len(checks) == 6


async def test_removed_user_is_rejected() -> None:
    """Even when another user has the same hash now."""
    known = PasswordVerifier()
    assert await known.verify({"alice": USERS["alice"]}, "alice", b"wonderland", "a")

    assert not await known.verify({"bob": USERS["alice"]}, "alice", b"wonderland", "a")


async def test_remembered_digests_are_bounded_and_keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is dropped; another process makes other digests, so that they reveal no password."""
    monkeypatch.setattr(auth, "MAX_VERIFIED", 2)
    known, other = PasswordVerifier(), PasswordVerifier()
    users = {name: hashed(name) for name in ("a", "b", "c")}
    for name in users:
        assert await known.verify(users, name, name.encode(), "a")
    await other.verify(users, "c", b"c", "a")

    assert len(known._verified) == 2  # noqa: SLF001 - no public access
    assert set(known._verified).isdisjoint(other._verified)  # noqa: SLF001


async def test_long_password_is_cut_at_72_bytes() -> None:
    """As bcrypt and the tools that make the hashes do."""
    long = "long " * 30

    assert await PasswordVerifier().verify({"alice": hashed(long[:72])}, "alice", long.encode(), "a")


async def test_too_many_pending_checks_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a limit for each client and one for all; remembered passwords need no check."""
    known, go = PasswordVerifier(), threading.Event()
    assert await known.verify(USERS, "alice", b"wonderland", "a")
    monkeypatch.setattr(bcrypt, "checkpw", lambda password, _: go.wait(20) and password == b"builder")

    def guesses(count: int, client: str) -> list[asyncio.Task[bool]]:
        return [asyncio.create_task(known.verify(USERS, "alice", b"%d" % n, client)) for n in range(count)]

    flood = guesses(40, "a")
    await asyncio.sleep(0)
    assert await known.verify(USERS, "alice", b"wonderland", "a")
    with pytest.raises(TooManyPending):
        await known.verify(USERS, "bob", b"builder", "a")

    others = [one for n in range(15) for one in guesses(4, f"other {n}")]
    await asyncio.sleep(0)
    with pytest.raises(TooManyPending):
        await known.verify(USERS, "bob", b"builder", "b")

    go.set()
    found = await asyncio.gather(*flood, return_exceptions=True)
    assert (found.count(False), sum(isinstance(one, TooManyPending) for one in found)) == (4, 36)
    assert await asyncio.gather(*others) == [False] * 60
    assert await known.verify(USERS, "bob", b"builder", "a")
    assert known._queues == {}  # noqa: SLF001 - queues are dropped when empty


async def test_clients_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """After four guesses of another client, a request waits for one of them."""
    known, order = PasswordVerifier(), list[bytes]()
    monkeypatch.setattr(bcrypt, "checkpw", lambda password, _: order.append(password))
    guesses = [asyncio.create_task(known.verify(USERS, "alice", b"%d" % n, "a")) for n in range(4)]
    await asyncio.sleep(0)
    await known.verify(USERS, "bob", b"builder", "b")
    await asyncio.gather(*guesses)

    assert order == [b"0", b"builder", b"1", b"2", b"3"]
