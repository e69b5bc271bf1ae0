"""Optimize the shard in a folder until nothing is left: `python -m testkit.qdrant_double.indexing FOLDER`."""

import shutil
import sys
from pathlib import Path

import qdrant_edge as engine


def main() -> None:
    folder = Path(sys.argv[1])
    shard = engine.EdgeShard.load(str(folder))
    while shard.optimize():
        pass
    live = shard.snapshot_manifest()
    shard.close()
    for segment in (folder / "segments").iterdir():
        if segment.name not in live:  # the engine leaves replaced segments, and would load them again
            shutil.rmtree(segment)


if __name__ == "__main__":
    main()
