"""Answers of a real Qdrant 1.18.3, by request: for tests that need no server."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from exporter.config.stores.qdrant import QdrantTarget
from exporter.datastores.qdrant.datastore import QdrantDatastore, open_datastore
from exporter.queries.query import Query
from exporter.settings import read_queries
from tests.support.paths import ROOT

FOLDER = ROOT / "testkit" / "qdrant_double" / "recorded"
Answer = tuple[int, str]


def recorded(scene: str) -> dict[str, Answer]:
    """Return the last answer to each request of a scene: status and body."""
    entries = json.loads((FOLDER / f"{scene}.json").read_text())
    return {entry["request"].removeprefix("GET "): (entry["status"], _text(entry["body"])) for entry in entries}


def page(scene: str, path: str) -> Any:
    """Return the `result` of a recorded JSON page."""
    return json.loads(recorded(scene)[path][1])["result"]


def metrics(scene: str) -> bytes:
    return recorded(scene)["/metrics"][1].encode()


def transport(
    answers: Mapping[str, Answer], requested: list[str] | None = None, key: str | None = None
) -> httpx.MockTransport:
    """Respond from a mapping of paths, note the requests, and reject other keys where one is given."""

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        if requested is not None:
            requested.append(path)
        if key is not None and request.headers.get("api-key") != key:
            return httpx.Response(401, text="Invalid API key or JWT")
        status, text = answers.get(path, (404, ""))
        return httpx.Response(status, text=text)

    return httpx.MockTransport(answer)


def datastore(
    answer: httpx.MockTransport | Callable[[httpx.Request], httpx.Response], **settings: Any
) -> QdrantDatastore:
    """Open a datastore on such a transport."""
    target = QdrantTarget(name="q", store="qdrant", url="http://qdrant.test:6333", **settings)
    return open_datastore(target, answer if isinstance(answer, httpx.MockTransport) else httpx.MockTransport(answer))


def _text(body: object) -> str:
    return body if isinstance(body, str) else json.dumps(body)


EMPTY = recorded("1-empty")
TWO = {**EMPTY, **recorded("2-two-collections")}


def query_named(name: str) -> Query:
    return next(query for query in read_queries(["qdrant"]) if query.name == name)


async def fetch(store: QdrantDatastore, name: str) -> Any:
    """Return the rows of a query by its name."""
    async with store.session("fast") as session:
        return await session.fetch(query_named(name))
