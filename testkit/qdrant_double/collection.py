"""One collection: its configuration, the engine's shard that holds its points, and its snapshots."""

import json
import shutil
import time
from pathlib import Path

import qdrant_edge as engine

from testkit.qdrant_double import edge
from testkit.qdrant_double.calls import Json, wrong_input
from testkit.qdrant_double.durations import Durations
from testkit.qdrant_double.optimizer import Optimizer
from testkit.qdrant_double.shard import Shard
from testkit.qdrant_double.versions import at_least

FLOAT_BYTES = 4
SPARSE_BYTES = 24  # of a sparse vector, taken as three values of eight bytes
OPTIMIZER: Json = {
    "deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0, "max_segment_size": None,
    "memmap_threshold": None, "indexing_threshold": 10000, "flush_interval_sec": 5, "max_optimization_threads": None,
    "prevent_unoptimized": None,
}  # fmt: skip
WAL: Json = {"wal_capacity_mb": 32, "wal_segments_ahead": 0, "wal_retain_closed": 1}
PARAMS: Json = {"shard_number": 1, "replication_factor": 1, "write_consistency_factor": 1, "on_disk_payload": True}
EXTRAS = ("strict_mode_config", "metadata")


def new_config(body: Json, version: str, peers: int) -> Json:
    """Return the configuration of a new collection: the request over the server's defaults."""
    params: Json = {"vectors": _given(body.get("vectors"))} | PARAMS
    params |= {key: body[key] for key in PARAMS if body.get(key) is not None}
    if body.get("shard_number") is None:
        params["shard_number"] = peers
    if body.get("sparse_vectors"):
        params["sparse_vectors"] = body["sparse_vectors"]
    threshold = {} if at_least(version, "1.15") else {"indexing_threshold": 20000}
    return {
        "params": params,
        "hnsw_config": edge.HNSW | _given(body.get("hnsw_config")),
        "optimizer_config": OPTIMIZER | threshold | _given(body.get("optimizers_config")),
        "wal_config": WAL | _given(body.get("wal_config")),
        "quantization_config": body.get("quantization_config"),
    } | {key: body[key] for key in EXTRAS if body.get(key) is not None}


class Collection:
    """A collection on disk. Its folder holds `config.json`, the engine's shard and the snapshots."""

    def __init__(self, name: str, folder: Path, config: Json) -> None:
        begin = time.perf_counter()
        self.name = name
        self.folder = folder
        self.config = config
        self.operations = 0
        self.snapshots_made = 0
        self.searches = Durations()
        self._open()
        self.init_milliseconds = int((time.perf_counter() - begin) * 1000)

    @classmethod
    def load(cls, folder: Path) -> "Collection":
        saved = json.loads((folder / "config.json").read_text())
        return cls(saved["name"], folder, saved["config"])

    @property
    def params(self) -> Json:
        params: Json = self.config["params"]
        return params

    @property
    def shard(self) -> engine.EdgeShard:
        """Return the engine's shard; another one after an optimization."""
        return self.live.engine

    @property
    def snapshots(self) -> Path:
        return self.folder / "snapshots"

    def update(self, operation: engine.UpdateOperation) -> int:
        """Apply a write and return its number."""
        try:
            self.live.update(operation)
        except Exception as error:  # noqa: BLE001 - the engine raises bare Exception
            raise wrong_input(error) from None
        self.operations += 1
        self.optimizer.notice()
        return self.operations

    def configure(self, body: Json) -> None:
        """Change parts of the configuration; the engine reopens its shard with it."""
        config = dict(self.config)
        pairs = {"params": "params", "hnsw_config": "hnsw_config", "optimizers_config": "optimizer_config"}
        for key, part in pairs.items():
            config[part] = config[part] | _given(body.get(key))
        config |= {key: body[key] for key in ("quantization_config", *EXTRAS) if body.get(key) is not None}
        self.close()
        self.config = config
        self._open()
        self.optimizer.notice()

    def vector_counts(self) -> dict[str, int]:
        """Return the number of vectors by vector name, dense ones first."""
        return {name: self._count(name) for name in [*edge.dense_vectors(self.params), *self.sparse]}

    @property
    def sparse(self) -> list[str]:
        return edge.sparse_vectors(self.params)

    @property
    def vectors_bytes(self) -> int:
        """Return the estimate that the server makes."""
        counts, dense = self.vector_counts(), edge.dense_vectors(self.params)
        sizes = {name: dense[name]["size"] * FLOAT_BYTES if name in dense else SPARSE_BYTES for name in counts}
        return sum(counts[name] * sizes[name] for name in counts)

    def unindexed(self) -> int:
        """Return the number of dense vectors outside an index."""
        info = self.shard.info()
        counts = self.vector_counts()
        dense = sum(count for name, count in counts.items() if name not in self.sparse)
        indexed = info.indexed_vectors_count - sum(counts[name] for name in self.sparse)
        return max(0, dense - indexed)

    @property
    def optimizing(self) -> bool:
        """Tell whether the optimizer is at work or about to; the server shows it as yellow."""
        return self.optimizer.running is not None or (not self.optimizer.settled and self._backlog() > 0)

    @property
    def waiting(self) -> bool:
        """Tell whether work is left from before a restart: the server waits for a write, and shows it as grey."""
        return not self.operations and self.optimizer.settled and self._backlog() > 0

    def close(self) -> None:
        self.optimizer.close()
        self.live.close()

    def remove(self) -> None:
        self.close()
        shutil.rmtree(self.folder)

    def _open(self) -> None:
        self.snapshots.mkdir(parents=True, exist_ok=True)
        saved = json.dumps({"name": self.name, "config": self.config})
        (self.folder / "config.json").write_text(saved)
        self.live = Shard(self.folder, edge.config(self.config))
        self.optimizer = Optimizer(self.live, self._backlog)

    def _backlog(self) -> int:
        """Return the number of vectors without an index when it exceeds the threshold to make one, else 0."""
        threshold, links = self.config["optimizer_config"]["indexing_threshold"], self.config["hnsw_config"]["m"]
        sizes = [vector["size"] for vector in edge.dense_vectors(self.params).values()]
        unindexed = self.unindexed() if threshold and links else 0
        return unindexed if unindexed * max(sizes, default=0) * FLOAT_BYTES / 1024 > (threshold or 0) else 0

    def _count(self, vector: str) -> int:
        if vector == edge.DEFAULT_VECTOR:
            return self.shard.info().points_count
        has = engine.Filter(must=[engine.HasVectorCondition(vector)])
        return self.shard.count(engine.CountRequest(filter=has))


def _given(body: Json | None) -> Json:
    """Return the fields that carry a value; a client may send null for the others."""
    return {key: value for key, value in (body or {}).items() if value is not None}
