"""Patroni's pages as older versions and bad days give them; the real one is asked in the integration tests."""

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from pydantic import HttpUrl

from exporter.config.stores.postgres import PostgresTarget
from exporter.datastores.postgres.connection import LaneConnection
from exporter.datastores.postgres.connector import Connector
from exporter.datastores.postgres.datastore import PostgresSession
from exporter.datastores.postgres.operations.patroni import PATRONI
from exporter.datastores.postgres.patroni_api import PatroniApi
from exporter.errors import QueryError
from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import Params
from exporter.queries.query import Row
from tests.support.collect import target_of


class FakePatroni(PatroniApi):
    """Answers with fixed pages, and remembers what was asked."""

    def __init__(self, **pages: object) -> None:
        self._pages = {f"/{name}": page for name, page in pages.items()}
        self.asked: list[str] = []

    async def get(self, path: str) -> Any:
        self.asked.append(path)
        page = self._pages[path]
        if isinstance(page, QueryError):
            raise page
        return page


def session_with(patroni: FakePatroni) -> PostgresSession:
    target = target_of({"name": "db", "store": "postgres", "url": "postgresql://db1", "patroni": "http://db1:8008"})
    assert isinstance(target, PostgresTarget)
    connection = LaneConnection(Connector(target))
    return PostgresSession(target, connection, ServerInfo(version="17.2"), {}, moves=0, patroni=patroni)


async def rows(session: PostgresSession, operation: str) -> Sequence[Row]:
    return await PATRONI[operation].run(session, Params(), None)


async def test_an_older_version_says_master_and_gives_no_name() -> None:
    member = {"state": "running", "role": "master", "timeline": 3, "patroni": {"version": "2.1.4", "scope": "demo"}}
    members = [{"name": "one", "role": "leader", "state": "running"}, {"name": "two", "role": "replica", "lag": 5}]
    session = session_with(FakePatroni(patroni=member, cluster={"members": members}))
    [info] = await rows(session, "patroni_info")
    [one] = await rows(session, "patroni")
    [cluster] = await rows(session, "patroni_cluster")

    assert info == {"scope": "demo", "member": None, "role": "primary", "version": "2.1.4"}
    assert (one["leader"], one["status"]) == (True, "pass")
    assert (cluster["leaders"], cluster["lag"]) == (1, None)


@pytest.mark.parametrize(
    ("roles", "status", "troubles"),
    [(["replica"], "fail", ["no leader"]), (["leader", "leader"], "fail", ["2 leaders"]),
     (["standby_leader", "replica"], "pass", [])],
)  # fmt: skip
async def test_exactly_one_member_leads(roles: list[str], status: str, troubles: list[str]) -> None:
    members = [{"name": str(number), "role": role, "lag": "unknown"} for number, role in enumerate(roles)]
    patroni = FakePatroni(patroni={"patroni": {"name": "0"}}, cluster={"members": members})
    [row] = await rows(session_with(patroni), "patroni_cluster")

    assert (row["status"], row["troubles"], row["lag"]) == (status, troubles, None)


async def test_members_that_are_not_well_are_named() -> None:
    members = [{"name": "one", "role": "leader", "state": "running"},
               {"name": "two", "role": "replica", "state": "start failed"},
               {"name": "new", "role": "arbiter", "state": "running"}]  # fmt: skip
    found = await rows(session_with(FakePatroni(cluster={"members": members})), "patroni_members")
    counts = {(row["role"], row["state"]): row["members"] for row in found}

    assert counts["leader", "running"] == counts["replica", "other"] == counts["arbiter", "running"] == 1
    assert counts["sync_standby", "streaming"] == 0
    assert [row["unwell"] for row in found if row["unwell"]] == [["two: start failed"]]


async def test_unanswered_request_is_not_repeated_in_a_pass() -> None:
    patroni = FakePatroni(patroni=QueryError("timeout", "no answer"))
    session = session_with(patroni)
    for operation in ("patroni", "patroni_info", "patroni_cluster"):
        with pytest.raises(QueryError) as caught:
            await rows(session, operation)
        assert caught.value.reason == "timeout"

    assert patroni.asked == ["/patroni"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(httpx.Response(404, text="no"), "unsupported"), (httpx.Response(401), "auth"), (httpx.Response(500), "query"),
     (httpx.Response(302, headers={"Location": "http://elsewhere"}), "query"),
     (httpx.Response(200, text="<"), "decode"), (httpx.Response(200, json=[1]), "decode"),
     (httpx.ConnectError("no"), "connect"), (httpx.ReadTimeout("no"), "timeout")],
)  # fmt: skip
async def test_a_bad_answer_has_its_reason(answer: httpx.Response | Exception, reason: str) -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    api = PatroniApi(HttpUrl("http://localhost:8008"), transport=httpx.MockTransport(handle))
    with pytest.raises(QueryError) as caught:
        await api.get("/patroni")
    await api.close()

    assert caught.value.reason == reason
    assert "localhost" not in str(caught.value)
