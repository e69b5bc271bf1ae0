"""What tests do to a Qdrant server: collections, points, searches; and how a collection is."""

import random
from typing import Any

import httpx

from testkit.qdrant import Qdrant
from tests.support.collect import Collected


class Admin:
    """Change the server as its users do, each time over a connection that is closed afterwards."""

    def __init__(self, server: Qdrant) -> None:
        headers = {"connection": "close", **({"api-key": server.api_key} if server.api_key else {})}
        self._client = httpx.Client(base_url=server.url, headers=headers, timeout=30)

    def send(self, method: str, path: str, body: object = None) -> Any:
        answer = self._client.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()["result"]

    def create(self, name: str, vectors: object = None, **settings: object) -> None:
        self.send("PUT", f"/collections/{name}", {"vectors": vectors or {"size": 4, "distance": "Cosine"}, **settings})

    def upsert(self, name: str, ids: range, **vector: object) -> None:
        dice = random.Random(7)
        points = [
            {
                "id": i,
                "vector": vector or [dice.random() for _ in range(4)],
                "payload": {"parity": ["even", "odd"][i % 2]},
            }
            for i in ids
        ]
        self.send("PUT", f"/collections/{name}/points?wait=true", {"points": points})

    def delete(self, name: str, ids: range) -> None:
        self.send("POST", f"/collections/{name}/points/delete?wait=true", {"points": list(ids)})

    def search(self, name: str) -> None:
        self.send("POST", f"/collections/{name}/points/query", {"query": [1, 0, 0, 0], "limit": 3})

    def drop(self, name: str) -> None:
        self.send("DELETE", f"/collections/{name}")


def status_of(collected: Collected, collection: str) -> str:
    series = collected.samples["qdrant_collection_status"]
    [found] = [
        dict(labels)["status"] for labels, has in series.items() if has and dict(labels)["collection"] == collection
    ]
    return found
