"""Send recorded requests to a server, so that its answers can be compared with the recorded ones."""

import json
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from testkit.qdrant_double.shapes import differences, metric_shape

FOLDER = Path(__file__).with_name("recorded")
POINTS = 2000
SIZE = 64
_random = random.Random(18)


@dataclass(frozen=True)
class Recorded:
    """A recorded answer; `number` is its place among those to the same request."""

    scene: str
    request: str
    number: int
    status: int
    content_type: str
    body: Any

    def __str__(self) -> str:
        return f"{self.scene} {self.request} #{self.number}"


def recorded(scene: str) -> list[Recorded]:
    seen: dict[str, int] = {}
    answers = []
    for one in json.loads((FOLDER / f"{scene}.json").read_text()):
        seen[one["request"]] = seen.get(one["request"], 0) + 1
        answers.append(Recorded(scene, number=seen[one["request"]], **one))
    return answers


def vector(size: int = SIZE) -> list[float]:
    return [_random.gauss(0, 1) for _ in range(size)]


def fill(client: httpx.Client) -> None:
    """Make the collections of the scene "two collections", and wait until they are indexed."""
    body: dict[str, Any] = {
        "vectors": {"size": SIZE, "distance": "Cosine"},
        "optimizers_config": {"indexing_threshold": 100, "default_segment_number": 2},
        "quantization_config": {"scalar": {"type": "int8", "always_ram": True}},
    }
    _put(client, "/collections/docs", body)
    named = {"body": {"size": 32, "distance": "Cosine", "on_disk": True}, "title": {"size": 16, "distance": "Dot"}}
    _put(client, "/collections/named", {"vectors": named, "sparse_vectors": {"words": {}}})
    _put(client, "/collections/docs/index", {"field_name": "city", "field_schema": "keyword"})
    points = [{"id": number, "vector": vector(), "payload": {"city": f"x{number % 4}"}} for number in range(POINTS)]
    _put(client, "/collections/docs/points", {"points": points})
    words = [{"indices": [1, 2, number + 3], "values": [0.1, 0.2, 0.3]} for number in range(50)]
    _put(client, "/collections/named/points", {"points": [
        {"id": number, "vector": {"body": vector(32), "title": vector(16), "words": words[number]}}
        for number in range(50)
    ]})  # fmt: skip
    wait_indexed(client, "docs")


def wait_indexed(client: httpx.Client, collection: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        info = client.get(f"/collections/{collection}").json()["result"]
        if info["status"] == "green" and info["indexed_vectors_count"]:
            return
        time.sleep(0.05)
    raise TimeoutError(f"{collection} was not indexed")


def send(client: httpx.Client, one: Recorded) -> httpx.Response:
    method, path = one.request.split(" ")
    bodies = _bodies(one.request)
    content = bodies[one.number - 1] if bodies else None
    return client.request(method, path, content=content if isinstance(content, str | None) else json.dumps(content))


def problems(one: Recorded, answer: httpx.Response, only: Iterable[str] = ()) -> list[str]:
    """Return how an answer differs from the recorded one, in `only` these parts of its result."""
    found = []
    if answer.status_code != one.status:
        found.append(f"status {answer.status_code}, recorded {one.status}: {answer.text}")
    if (kind := answer.headers.get("content-type", "")) != one.content_type:
        found.append(f"content type {kind!r}, recorded {one.content_type!r}")
    if found:
        return found
    if one.request.partition("?")[0] == "GET /metrics":
        return differences(metric_shape(one.body), metric_shape(answer.text))
    if isinstance(one.body, str):
        return [] if answer.text == one.body else [f"text {answer.text!r}, recorded {one.body!r}"]
    if only:
        parts = [(one.body["result"][part], answer.json()["result"][part], part) for part in only]
        return [difference for expected, given, part in parts for difference in differences(expected, given, part)]
    return differences(one.body, answer.json())


def _bodies(request: str) -> list[Any]:
    """Return the bodies sent with the recorded requests of this kind, in their order; no body for others."""
    city = {"must": [{"key": "city", "match": {"value": "x1"}}]}
    bodies: dict[str, list[Any]] = {
        "POST /collections/docs/points/query": [
            {"query": vector(), "limit": 10},
            {"query": vector(), "limit": 10, "params": {"exact": True}},
            {"query": vector(), "limit": 3, "filter": city},
            {"query": {"sample": "random"}, "limit": 2, "with_vector": True},
            {"query": [0.5], "limit": 10},
        ],
        "POST /collections/docs/points/count": [{"exact": True}, {"exact": True, "filter": city}, "{1"],
        "POST /collections/none/points/query": [{"query": vector()}],
        "PUT /collections/docs/points?wait=true": [{"points": [{"id": POINTS, "vector": vector()}]}],
        "PUT /collections/x": [{"vectors": {"size": 4, "distance": "Dot"}}],
    }
    return bodies.get(request, [])


def _put(client: httpx.Client, path: str, body: Any) -> None:
    client.put(path, params={"wait": "true"}, json=body).raise_for_status()
