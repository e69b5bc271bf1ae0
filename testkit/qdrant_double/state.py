"""Everything the double knows while it runs."""

import json
import random
import re
import shutil
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from testkit.qdrant_double.calls import Json, Refused, internal, not_found
from testkit.qdrant_double.collection import Collection, new_config
from testkit.qdrant_double.durations import DENSE_BOUNDS, SPARSE_BOUNDS, Requests
from testkit.qdrant_double.scene import Scene
from testkit.qdrant_double.versions import at_least

HARDWARE = (
    "cpu", "payload_io_read", "payload_io_write", "payload_index_io_read", "payload_index_io_write",
    "vector_io_read", "vector_io_write",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """How the double was started."""

    folder: Path
    version: str = "1.18.3"
    api_key: str | None = None
    read_only_key: str | None = None


class State:
    """The double: its collections on disk, its request statistics and the scene it plays."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.version = options.version
        self.started = time.time()
        self.instance = str(uuid.uuid4())
        self.requests = Requests(DENSE_BOUNDS if self.has("1.16") else SPARSE_BOUNDS)
        self.hardware: dict[str, dict[str, int]] = {}
        self.scene = Scene()
        self.scene_since = self.started
        self.noticed_dead: frozenset[int] = frozenset()
        self.telemetry_lock = threading.Lock()
        self.peer = self._peer()
        folders = sorted(self._collections.iterdir())
        self.collections = {one.name: one for one in map(Collection.load, folders)}

    def has(self, version: str) -> bool:
        """Tell whether the emulated server is at least of that version."""
        return at_least(self.version, version)

    def play(self, scene: Scene) -> None:
        self.scene = scene
        self.scene_since = time.time()
        self.noticed_dead = self.noticed_dead & frozenset(scene.dead)

    def collection(self, name: str) -> Collection:
        if name not in self.collections:
            raise not_found(name)
        return self.collections[name]

    def readable(self, name: str) -> Collection:
        """Return a collection for a request to its points; refuse when its shard did not load."""
        self.hardware.setdefault(name, dict.fromkeys(HARDWARE, 0))
        found = self.collection(name)
        if self.scene.failed_to_load(name):
            raise internal(f"The replica set for shard 0 on peer {self.peer} does not have enough active replicas")
        return found

    def create(self, name: str, body: Json) -> None:
        if name in self.collections:
            raise Refused(409, f"Wrong input: Collection `{name}` already exists!")
        if not re.fullmatch(r"[^/\\<>:\"|?*\x00]{1,255}", name):
            raise Refused(422, "Validation error in path parameters: [collection_name: invalid]")
        config = new_config(body, self.version, self.scene.peers)
        folder = self._collections / uuid.uuid4().hex
        try:
            self.collections[name] = Collection(name, folder, config)
        except (KeyError, TypeError, AttributeError) as error:
            shutil.rmtree(folder)
            raise Refused(400, f"Format error in JSON body: {error}") from None

    def delete(self, name: str) -> bool:
        found = self.collections.pop(name, None)
        if found is None:
            return False
        found.remove()
        return True

    def close(self) -> None:
        for collection in self.collections.values():
            collection.close()

    @property
    def _collections(self) -> Path:
        folder = self.options.folder / "collections"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _peer(self) -> int:
        """Return the peer's id, which stays over restarts."""
        saved = self.options.folder / "peer.json"
        if not saved.exists():
            saved.write_text(json.dumps(random.randint(10**14, 2**53)))
        peer: int = json.loads(saved.read_text())
        return peer
