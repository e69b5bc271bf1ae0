"""The Qdrant double answers as the recorded server did, and its engine is the real one."""

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import TypeAdapter, ValidationError
from qdrant_client.http import models

from testkit.qdrant import Qdrant
from testkit.qdrant_double.replay import Recorded, fill, problems, recorded, send, vector
from testkit.qdrant_double.shapes import differences
from testkit.session import Servers

CALM = [*recorded("1-empty"), *recorded("2-two-collections")]
FAILED = recorded("7-collection-failed-to-load")
KILLED = recorded("5-cluster-one-peer-killed")
FROZEN = recorded("6-cluster-one-killed-one-frozen")
DATA = ("collections", "cluster")  # of /telemetry; its requests are those of another run


def _request(one: Recorded) -> str:
    return one.request.partition("?")[0]


@pytest.fixture(scope="module")
def double(servers: Servers) -> Iterator[Qdrant]:
    with servers.private_qdrant() as server:
        yield server


@pytest.fixture
def stage(double: Qdrant, replayed: dict[str, httpx.Response]) -> Iterator[Qdrant]:
    """Return the double for other scenes than the replayed ones; it is back to normal after each test."""
    assert replayed
    yield double
    double.scene()


@pytest.fixture(scope="module")
def replayed(double: Qdrant) -> dict[str, httpx.Response]:
    """Replay the calm scenes, then those of the collection that does not load, in the recorded order."""
    with httpx.Client(base_url=double.url) as client:
        answers = {str(one): send(client, one) for one in recorded("1-empty")}
        fill(client)
        answers |= {str(one): send(client, one) for one in recorded("2-two-collections")}
        double.scene(failed=["docs"])
        answers |= {str(one): send(client, one) for one in FAILED}
        double.scene()
        return answers


@pytest.mark.parametrize("one", CALM, ids=str)
def test_responses_have_the_recorded_shape(replayed: dict[str, httpx.Response], one: Recorded) -> None:
    """Status, content type, keys and types are the real server's."""
    assert problems(one, replayed[str(one)]) == []


@pytest.mark.parametrize("one", FAILED, ids=str)
def test_collection_that_failed_to_load_shows_as_recorded(replayed: dict[str, httpx.Response], one: Recorded) -> None:
    """It is listed as active; only reads and the dummy shard show the failure."""
    if one.request == "GET /metrics":  # the recorded server had just started: it had no request families yet
        for page in (one.body, replayed[str(one)].text):
            assert 'collection_points{id="docs"} 0' in page
            assert 'collection_vectors{collection="docs"' not in page
    else:
        only = DATA if "telemetry" in one.request else ()
        assert problems(one, replayed[str(one)], only) == []


def test_errors_have_the_recorded_text(replayed: dict[str, httpx.Response]) -> None:
    """The text of each error is the real server's."""
    errors = [one for one in (*CALM, *FAILED) if isinstance(one.body, dict) and "error" in str(one.body.get("status"))]
    said = {str(one): (_error(one.body), _error(replayed[str(one)].json())) for one in errors}

    assert {name for name, (expected, given) in said.items() if given != expected} == set()


def test_keys(servers: Servers) -> None:
    """Keys are required, distinguished and rejected as recorded; open paths need none."""
    keys = ["", "", "", "wrong", "read", "read", "read", "read", "read", "full"]

    with servers.private_qdrant("full", "read") as server, httpx.Client(base_url=server.url) as client:
        client.headers["api-key"] = "full"
        for name in ("docs", "named"):
            client.put(f"/collections/{name}", json={"vectors": {"size": 4, "distance": "Dot"}}).raise_for_status()
        for one, key in zip(recorded("3-api-key"), keys, strict=True):
            client.headers["api-key"] = key
            assert problems(one, send(client, one)) == []
        del client.headers["api-key"]
        assert client.get("/collections", headers={"authorization": "Bearer read"}).status_code == 200


def test_killed_and_frozen_peers_show_as_recorded(stage: Qdrant) -> None:
    """A dead peer shows in shard states only after a write; a frozen one makes reads fail."""
    with httpx.Client(base_url=stage.url) as client:
        for name in client.get("/collections").json()["result"]["collections"]:
            client.delete(f"/collections/{name['name']}").raise_for_status()
        stage.scene(peers=3)
        body = {"vectors": {"size": 64, "distance": "Cosine"}, "shard_number": 3, "replication_factor": 2}
        client.put("/collections/docs", json=body).raise_for_status()
        points = {"points": [{"id": 1, "vector": vector()}]}
        client.put("/collections/docs/points", json=points).raise_for_status()
        client.post("/collections/docs/points/query", json={"query": vector()}).raise_for_status()
        stage.scene(peers=3, dead=[2], dead_seconds=0.01)
        for one in KILLED:
            answer = send(client, one)
            assert problems(one, answer, DATA if "details_level" in one.request else ()) == []
            states = client.get("/collections/docs/cluster").json()["result"]["remote_shards"]
            assert any(shard["state"] == "Dead" for shard in states) == (one.number == 2 or "PUT" in one.request)
        stage.scene(peers=3, dead=[2], frozen=[1], frozen_seconds=0.01)
        for one in FROZEN:
            assert problems(one, send(client, one)) == []


MODELS: dict[str, Any] = {
    "GET /": models.VersionInfo,
    "GET /collections": models.CollectionsResponse,
    "GET /cluster": models.ClusterStatus,
    "GET /cluster/telemetry": models.DistributedTelemetryData,
    "GET /telemetry": models.TelemetryData,
    "GET /collections/docs": models.CollectionInfo,
    "GET /collections/docs/cluster": models.CollectionClusterInfo,
    "GET /collections/docs/exists": models.CollectionExistence,
    "GET /collections/docs/optimizations": models.OptimizationsResponse,
    "GET /collections/docs/snapshots": list[models.SnapshotDescription],
    "POST /collections/docs/snapshots": models.SnapshotDescription,
    "POST /collections/docs/points/query": models.QueryResponse,
    "POST /collections/docs/points/count": models.CountResult,
}
UNREADABLE = "container_runtime"  # client 1.20 wants it from /telemetry level 1 on; no server up to 1.19 sends it


@pytest.mark.parametrize("one", [one for one in CALM if _request(one) in MODELS], ids=str)
def test_client_reads_every_response(replayed: dict[str, httpx.Response], one: Recorded) -> None:
    """The client's models accept the double's responses, and reject only those that they reject of the server."""
    answers = (one.body, replayed[str(one)].json())

    if one.request.startswith("GET /telemetry") and not one.request.endswith("=0"):
        for answer in answers:
            with pytest.raises(ValidationError, match=UNREADABLE):
                _parse(one, answer)
    else:
        assert all(_parse(one, answer) for answer in answers)


def test_requests_are_counted(stage: Qdrant) -> None:
    """/metrics counts the requests that were really made, by status, and times those that succeeded."""
    with httpx.Client(base_url=stage.url) as client:
        client.put("/collections/counted", json={"vectors": {"size": 2, "distance": "Dot"}}).raise_for_status()
        before = _scrolls(client)
        for _ in range(3):
            client.post("/collections/counted/points/scroll", json={}).raise_for_status()
        client.post("/collections/absent/points/scroll", json={})
        after = _scrolls(client)

    assert {key: after[key] - before.get(key, 0) for key in after} == {
        ("rest_responses_total", "200", ""): 3,
        ("rest_responses_total", "404", ""): 1,
        ("rest_responses_duration_seconds_bucket", "200", "+Inf"): 3,
    }


def test_scenes(stage: Qdrant) -> None:
    """A scene lasts until the next one: colours, errors, delays, not ready."""
    with httpx.Client(base_url=stage.url) as client:
        client.put("/collections/coloured", json={"vectors": {"size": 2, "distance": "Dot"}}).raise_for_status()
        stage.scene(status={"coloured": "grey"}, refuse={"/telemetry": 503}, delay={"/cluster": 0.2}, ready=False)
        begin = time.monotonic()
        client.get("/cluster").raise_for_status()

        assert time.monotonic() - begin >= 0.2
        assert client.get("/collections/coloured").json()["result"]["status"] == "grey"
        assert [client.get(path).status_code for path in ("/telemetry", "/readyz", "/livez")] == [503, 503, 200]
        stage.scene(optimizer_error={"coloured": "no space left"})
        assert client.get("/collections/coloured").json()["result"]["status"] == "red"
        stage.scene()
        assert client.get("/telemetry").status_code == client.get("/readyz").status_code == 200


def test_restart_and_freeze(servers: Servers) -> None:
    """Points and keys outlive a restart on the same port; counters do not; a frozen server does not respond."""
    with servers.private_qdrant() as server, httpx.Client(base_url=server.url) as client:
        fill(client)
        url, points = server.url, client.get("/collections/docs").json()["result"]["points_count"]
        server.restart()
        info = client.get("/collections/docs").json()["result"]
        assert (server.url, info["points_count"], info["indexed_vectors_count"]) == (url, points, points)
        assert "rest_responses_total" not in client.get("/metrics").text
        server.freeze()
        with pytest.raises(httpx.TimeoutException):
            httpx.get(f"{url}/livez", timeout=0.2)
        server.thaw()
        assert client.get("/livez").status_code == 200


def test_older_version_lacks_later_routes() -> None:
    """A 1.15 has no points in /metrics, sparse histograms, `{name}` templates and none of the later routes."""
    with Qdrant(version="1.15.5") as server, httpx.Client(base_url=server.url) as client:
        fill(client)
        page = client.get("/metrics").text

        assert "collection_points" not in page
        assert 'endpoint="/collections/{name}/points"' in page
        assert page.count('endpoint="/collections/{name}/index",status="200",le=') < 4
        assert client.get("/collections/docs/memory").status_code == 404


def test_shapes_differ() -> None:
    """The comparison notices a missing key, a new key, another type and an emptied list."""
    recorded_body = {"a": [{"b": 1}], "c": {"d": None}, "1500071346220200": "Active"}

    assert differences(recorded_body, {"a": [{"b": 2}] * 2, "c": {"d": None}, "5003259512639122": "Dead"}) == []
    assert sorted(differences(recorded_body, {"a": [], "c": {"d": 1, "e": 2}})) == [
        "$.#: missing",
        "$.a: 1 elements recorded, 0 answered",
        "$.c.d: null recorded, int answered",
        "$.c.e: not recorded",
    ]


def _error(body: Any) -> str:
    return re.sub(r"peer \d+|line \d+ column \d+", "", body["status"]["error"])


def _parse(one: Recorded, answer: Any) -> Any:
    if one.status != 200:
        return models.ErrorResponse.model_validate(answer)
    return TypeAdapter(MODELS[_request(one)]).validate_python(answer.get("result", answer))


def _scrolls(client: httpx.Client) -> dict[tuple[str, str, str], float]:
    """Return the scrolls' counters and their histogram's last bucket by metric, status and bound."""
    return {
        (sample.name, sample.labels["status"], sample.labels.get("le", "")): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
        if sample.labels.get("endpoint", "").endswith("/scroll")
        and (sample.name == "rest_responses_total" or sample.labels.get("le") == "+Inf")
    }
