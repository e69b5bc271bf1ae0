"""A login that was refused is spared; who may not know yet waits for who asks."""

import asyncio
from typing import Any

import pytest

from exporter.datastores.base import Datastore
from exporter.datastores.logins import PAUSE, LoginKeys, Logins
from exporter.errors import QueryError
from tests.support.collect import target_of
from tests.support.factories import info
from tests.support.fakes import Fake, asked
from tests.support.virtual_time import virtual_time

GRAPH = {"name": "graph", "store": "neo4j", "url": "bolt://127.0.0.1:7687", "password": "right"}
REFUSED = PermissionError("no")


@pytest.fixture
def anyio_backend(monkeypatch: pytest.MonkeyPatch) -> object:
    return virtual_time(monkeypatch)


class Slow(Fake):
    """A server that takes a second to answer."""

    async def ping(self) -> Any:
        await asyncio.sleep(1.0)
        return await super().ping()


def several(count: int, fake: Fake, **changes: Any) -> list[Datastore]:
    logins = Logins()
    return [logins.guarded(target_of({**GRAPH, **changes}), fake) for _ in range(count)]


async def pinged(*datastores: Datastore) -> list[str]:
    """Ping all at once; return how each went."""
    outcomes = await asyncio.gather(*(one.ping() for one in datastores), return_exceptions=True)
    return ["spared" if isinstance(one, QueryError) else type(one).__name__ for one in outcomes]


def keys(**changes: Any) -> set[Any]:
    settings = {name: value for name, value in {**GRAPH, **changes}.items() if value is not None}
    login = LoginKeys(target_of(settings))
    asyncio.run(login.resolve())
    return {*login.now()}


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"name": "another"}, True),
        ({"url": "bolt://localhost:7687"}, True),
        ({"url": "neo4j://localhost"}, True),
        ({"url": "bolt://[::ffff:127.0.0.1]"}, True),
        ({"url": "bolt://127.0.0.1:7688"}, False),
        ({"url": "bolt://nowhere.invalid"}, False),
        ({"user": "monitor"}, False),
        ({"password": "another"}, False),
        ({"url": "bolt+s://localhost"}, False),
        ({"store": "postgres", "url": "postgresql://neo4j@127.0.0.1:7687/x"}, False),
    ],
    ids=str,
)
def test_logins_are_equal_by_server_user_and_password(changes: dict[str, Any], *, same: bool) -> None:
    """The same server by any name, user and password; behind TLS one address may be many servers."""
    assert bool(keys() & keys(**changes)) == same


def test_names_are_kept_where_they_may_lead_elsewhere() -> None:
    """Behind a proxy that looks at the name, and on Unix sockets."""
    secure = [keys(url=f"bolt+s://{host}") for host in ("localhost", "127.0.0.1")]
    pages = [keys(store="qdrant", url=f"http://{host}:6333", password=None) for host in ("localhost", "127.0.0.1")]
    sockets = [keys(store="postgres", url=f"host={folder} user=monitor dbname=app") for folder in ("/tmp/a", "/tmp/b")]

    assert [bool(one & other) for one, other in (secure, pages, sockets)] == [False, False, False]


async def test_refused_login_is_tried_once_for_all_targets() -> None:
    """After the pause it is asked once more."""
    fake = Slow()
    fake.pinged = REFUSED
    four = several(4, fake)

    assert await pinged(*four) == ["PermissionError", "spared", "spared", "spared"]
    assert fake.asked == ["ping"]
    await asyncio.sleep(PAUSE + 1)
    assert min(await pinged(*four)) == "PermissionError"
    assert fake.asked == ["ping"] * 2


async def test_a_good_login_is_everybodys() -> None:
    """They take turns at first, and ask side by side from then on."""
    fake = Slow()
    three = several(3, fake)
    begun = asyncio.get_running_loop().time()
    assert await pinged(*three) == ["ServerInfo"] * 3
    first = asyncio.get_running_loop().time() - begun
    assert await pinged(*three) == ["ServerInfo"] * 3

    assert (first, asyncio.get_running_loop().time() - begun - first) == pytest.approx((3.0, 1.0))


async def test_an_error_that_is_no_refusal_causes_no_pause() -> None:
    fake = Slow()
    fake.pinged = ConnectionRefusedError("gone")

    assert await pinged(*several(2, fake)) == ["ConnectionRefusedError"] * 2


@pytest.mark.parametrize(("store", "expected"), [("neo4j", "spared"), ("postgres", "ServerInfo")])
async def test_sessions_that_outlive_a_password_are_asked_all_the_same(store: str, expected: str) -> None:
    """Neo4j's last minutes, and any of them may log in anew; PostgreSQL's last for weeks."""
    url = {"neo4j": GRAPH["url"], "postgres": "postgresql://monitor@127.0.0.1/app"}[store]
    fake = Fake()
    old, new = several(2, fake, store=store, url=url)
    await old.ping()
    fake.pinged = REFUSED
    assert await pinged(new) == ["PermissionError"]
    fake.pinged = info()

    assert await pinged(old) == [expected]


async def test_a_query_that_logs_in_and_is_refused_is_the_last() -> None:
    """Neo4j's pool logs in for whatever finds no free connection."""
    fake = Fake(sizes=REFUSED)
    [graph] = several(1, fake)
    await graph.ping()
    async with graph.session("slow") as session:
        for _ in range(3):
            with pytest.raises((PermissionError, QueryError)):
                await session.fetch(asked())

    assert fake.asked == ["ping", "slow sizes"]
    assert await pinged(graph) == ["spared"]
