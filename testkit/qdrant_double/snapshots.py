"""Snapshots: archives of tar with sizes, checksums and times as Qdrant's; the points in them are JSON."""

from __future__ import annotations  # the engine has its type aliases only in its stub

import hashlib
import io
import json
import tarfile
import time
from datetime import UTC, datetime
from pathlib import Path

import qdrant_edge as engine

from testkit.qdrant_double.calls import Call, Json, Refused
from testkit.qdrant_double.collection import Collection
from testkit.qdrant_double.queries import record_json
from testkit.qdrant_double.state import State

PAGE = 1000


def every(state: State, call: Call) -> list[Json]:
    folder = state.collection(call.collection).snapshots
    return [_described(path) for path in sorted(folder.glob("*.snapshot"))]


def create(state: State, call: Call) -> Json:
    collection = state.readable(call.collection)
    moment = datetime.now(UTC).strftime("%Y-%m-%d-%H-%M-%S")
    path = collection.snapshots / f"{collection.name}-{state.peer}-{moment}.snapshot"
    points = "".join(json.dumps(point) + "\n" for point in _points(collection))
    with tarfile.open(path, "w") as archive:
        for name, text in (("0/points.json", points), ("config.json", json.dumps({"shards": 1}))):
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    path.with_suffix(".checksum").write_text(hashlib.sha256(path.read_bytes()).hexdigest())
    collection.snapshots_made += 1
    return _described(path)


def delete(state: State, call: Call) -> bool:
    path = state.collection(call.collection).snapshots / Path(call.path["snapshot_name"]).name
    if not path.exists():
        raise Refused(404, f"Not found: Snapshot {path.name} not found")
    path.unlink()
    path.with_suffix(".checksum").unlink()
    return True


def full(_state: State, _: Call) -> list[Json]:
    """Return the snapshots of the whole storage; the double makes none."""
    return []


def _points(collection: Collection) -> list[Json]:
    points: list[Json] = []
    offset: engine.PointId | None = None
    while True:
        request = engine.ScrollRequest(offset=offset, limit=PAGE, with_payload=True, with_vector=True)
        records, offset = collection.shard.scroll(request)
        points += [record_json(record) for record in records]
        if offset is None:
            return points


def _described(path: Path) -> Json:
    made = time.gmtime(path.stat().st_mtime)
    return {
        "name": path.name,
        "creation_time": time.strftime("%Y-%m-%dT%H:%M:%S", made),
        "size": path.stat().st_size,
        "checksum": path.with_suffix(".checksum").read_text(),
    }
