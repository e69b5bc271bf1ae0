"""The datastore against recorded responses: its requests, and the reasons of errors."""

import json
import ssl

import httpx
import pytest

from exporter.errors import QueryError
from exporter.settings import read_queries
from tests.support.qdrant_recorded import EMPTY, TWO, Answer, datastore, fetch, query_named, recorded, transport

CLUSTER = {**EMPTY, **recorded("5-cluster-one-peer-killed")}


async def test_ping_returns_the_facts() -> None:
    """Version, role, start and capabilities with their reasons."""
    async with datastore(transport(TWO)) as store:
        info = await store.ping()

    assert (info.version, info.role, info.edition) == ("1.18.3", "single", "")
    assert info.started_at == pytest.approx(1795228989.66)
    assert info.capabilities["cluster"] == "cluster mode is disabled"
    assert info.capabilities["collection_memory"] == ""
    assert "disk space" in info.capabilities["disk_space"]
    assert info.missing_privileges == {}


async def test_ping_with_known_facts_is_one_request() -> None:
    """Facts that rarely change are not read at every ping."""
    requested: list[str] = []
    async with datastore(transport(TWO, requested)) as store:
        await store.ping()
        requested.clear()
        await store.ping()

    assert requested == ["/collections"]


async def test_peer_of_a_cluster_has_role_peer() -> None:
    """Its role is peer, of the leader as well."""
    async with datastore(transport(CLUSTER)) as store:
        info = await store.ping()

    assert (info.role, info.capabilities["cluster"]) == ("peer", "")


async def test_old_server_lacks_later_capabilities() -> None:
    """A capability of a later version names that version as the reason."""
    old = {**EMPTY, "/": (200, json.dumps({"title": "qdrant", "version": "1.9.7"}))}
    async with datastore(transport(old)) as store:
        info = await store.ping()

    assert info.capabilities["collection_memory"] == "needs version >=1.18"
    assert info.capabilities["search"] == "needs version >=1.10"


async def test_every_query_reads_each_page_once() -> None:
    """Twenty query files cost a pass one telemetry, one metrics page."""
    requested: list[str] = []
    async with datastore(transport(CLUSTER, requested)) as store:
        info = await store.ping()
        requested.clear()
        async with store.session("fast") as session:
            for query in read_queries(["qdrant"]):
                if not query.when.unmet(info) and query.interval is None:
                    query.samples(await session.fetch(query))

    assert sorted(requested) == ["/cluster", "/metrics", "/readyz", "/telemetry?details_level=3"]


async def test_disk_is_compared_with_its_configured_size() -> None:
    """It feeds the check diskSpace; a peer of a cluster has no such query, for it knows only its own shards."""
    query = query_named("disk")
    async with datastore(transport(TWO), disk_size="400MiB") as store:
        info = await store.ping()
        rows = await fetch(store, "disk")
        families = {family.metric.name: family.values for family in query.samples(rows)}

    pages = [json.loads(TWO[f"/collections/{name}/memory"][1]) for name in ("docs", "named")]
    assert families["qdrant_disk_used_bytes"] == [sum(page["result"]["total"]["disk_bytes"] for page in pages)]
    assert families["qdrant_disk_size_bytes"] == [400 * 2**20]
    assert (query.health and query.health.check, query.when.unmet(info)) == ("diskSpace", None)
    async with datastore(transport(CLUSTER)) as store:
        assert query.when.unmet(await store.ping()) == "needs role single"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((401, "Invalid API key or JWT"), "auth"),
        ((403, "Invalid api-key"), "auth"),
        ((500, '{"status": {"error": "Service internal error"}}'), "query"),
        ((502, "<html>"), "connect"),
        ((503, ""), "connect"),
        ((408, ""), "timeout"),
        ((429, ""), "limit"),
    ],
)
async def test_ping_that_fails_has_the_reason_of_its_status(answer: Answer, reason: str) -> None:
    """The reason of a failed ping follows from the status code."""
    async with datastore(transport({**TWO, "/collections": answer})) as store:
        with pytest.raises(QueryError) as error:
            await store.ping()

    assert error.value.reason == reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx.ConnectError("refused"), "connect"),
        (httpx.ReadError("reset"), "connect"),
        (httpx.RemoteProtocolError("peer closed connection"), "connect"),
        (httpx.RemoteProtocolError("illegal status line"), "decode"),
        (httpx.ConnectTimeout("slow"), "timeout"),
        (httpx.ReadTimeout("slow"), "timeout"),
        (ssl.SSLError("bad certificate"), "connect"),
        (httpx.DecodingError("gzip"), "decode"),
        (json.JSONDecodeError("no", "", 0), "decode"),
        (RuntimeError("else"), "decode"),
    ],
)
async def test_clients_errors_have_reasons(error: Exception, reason: str) -> None:
    """Each error of the HTTP client has a typed reason; a ping passes it on as it is."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    async with datastore(fail) as store:
        with pytest.raises(type(error)):
            await store.ping()

        assert store.reason(error) == reason


async def test_key_for_single_collections_misses_global_read() -> None:
    """What it may not read is named, with the access that gives it; the ping is well all the same."""
    forbidden = (403, '{"status": {"error": "Forbidden: Global access is required"}}')
    answers = {**TWO, "/cluster": forbidden, "/metrics": forbidden}
    async with datastore(transport(answers)) as store:
        info = await store.ping()
        with pytest.raises(QueryError) as error:
            await fetch(store, "requests")

    assert error.value.reason == "privilege"
    assert '{"access": "r"}' in info.missing_privileges["global read"]
    assert info.capabilities["cluster"] == "the API key may not read /cluster"


async def test_page_that_the_server_lacks_is_unsupported() -> None:
    """A route that is not there is no failure; a collection that is not there is one."""
    async with datastore(transport({**TWO, "/readyz": (404, ""), "/metrics": (404, "")})) as store:
        await store.ping()
        for name in ("ready", "requests"):
            with pytest.raises(QueryError) as error:
                await fetch(store, name)

            assert error.value.reason == "unsupported"


@pytest.mark.parametrize(("status", "ready"), [(200, 1.0), (503, 0.0)])
async def test_ready(status: int, ready: float) -> None:
    """Readiness is the status of /readyz; 503 is an answer, not a failure."""
    async with datastore(transport({**TWO, "/readyz": (status, "some shards are not ready")})) as store:
        await store.ping()

        assert await fetch(store, "ready") == [{"ready": ready}]


@pytest.mark.parametrize("body", ["<html>hello</html>", "[1", '{"result": {"version": 1}}'])
async def test_other_server_at_the_url_fails_to_decode(body: str) -> None:
    """A web page is no Qdrant."""
    async with datastore(transport({"/collections": (200, "{}"), "/": (200, body)})) as store:
        with pytest.raises(QueryError) as error:
            await store.ping()

    assert error.value.reason == "decode"


async def test_pages_of_odd_form_raise_nothing() -> None:
    """Every field is optional: an empty telemetry gives rows without values."""
    empty = dict.fromkeys(("/telemetry?details_level=1", "/telemetry?details_level=3"), (200, '{"result": {}}'))
    async with datastore(transport({**TWO, **empty})) as store:
        info = await store.ping()
        rows = await fetch(store, "server")

    assert info.started_at is None
    assert set(rows[0].values()) == {None}


async def test_restart_makes_the_next_ping_read_facts() -> None:
    """Another start in the telemetry makes the next ping read everything again."""
    answers = dict(TWO)
    async with datastore(transport(answers)) as store:
        before = await store.ping()
        for path in [path for path in answers if path.startswith("/telemetry")]:
            answers[path] = (200, answers[path][1].replace("2026-11-21T02:43:09", "2026-11-21T03:43:09"))
        await fetch(store, "server")
        after = await store.ping()

    assert before.started_at is not None
    assert after.started_at == before.started_at + 3600


async def test_facts_that_hang_do_not_fail_the_ping() -> None:
    """Facts of pages that hang are unknown and read again at the next ping, which does not fail."""
    stuck = {"/telemetry", "/cluster"}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path in stuck:
            raise httpx.ReadTimeout("stuck")
        return httpx.Response(200, text=CLUSTER[request.url.raw_path.decode()][1])

    async with datastore(answer) as store:
        first = await store.ping()
        stuck.remove("/cluster")
        second = await store.ping()

    assert (first.version, first.started_at, first.role) == ("1.18.3", None, "")
    assert first.capabilities["cluster"] == "/cluster did not answer"
    assert (second.role, second.capabilities["cluster"]) == ("peer", "")
