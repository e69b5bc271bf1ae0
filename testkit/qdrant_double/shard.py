"""The engine's shard behind a collection, which can be indexed while it is read and written."""

import os
import shutil
import threading
import time
from pathlib import Path

import qdrant_edge as engine

GRACE_SECONDS = 0.2  # for readers that still hold the shard that was replaced


class Shard:
    """The engine's shard in a folder of its own, `shard-<generation>`; the file `current` names the live one.

    The engine holds the interpreter's lock while it optimizes, which would freeze the whole double. So another
    process optimizes a copy; writes meanwhile go to the live shard and a journal, and to the copy when it takes over.
    """

    def __init__(self, parent: Path, config: engine.EdgeConfig) -> None:
        self.parent = parent
        self.files = threading.Lock()  # held by who looks at the live shard's files, and to remove them
        self._writing = threading.Lock()
        self._journal: list[engine.UpdateOperation] | None = None
        pointer = parent / "current"
        loads = pointer.exists()
        self.folder = parent / (pointer.read_text() if loads else "shard-1")
        for other in parent.glob("shard-*"):
            if other != self.folder:
                shutil.rmtree(other)
        self.folder.mkdir(exist_ok=True)
        self.engine = (engine.EdgeShard.load if loads else engine.EdgeShard.create)(str(self.folder), config)
        self._point()

    def update(self, operation: engine.UpdateOperation) -> None:
        with self._writing:
            self.engine.update(operation)
            if self._journal is not None:
                self._journal.append(operation)

    def copy(self) -> Path:
        """Return a copy of the shard's folder, to be optimized and then adopted or abandoned."""
        target = self.parent / f"shard-{int(self.folder.name.rpartition('-')[2]) + 1}"
        with self._writing:
            self.engine.flush()
            self._journal = []
            shutil.copytree(self.folder, target, copy_function=_copy_sparse)
        return target

    def adopt(self, target: Path) -> None:
        """Let the copy take over, with what was written since."""
        adopted = engine.EdgeShard.load(str(target))
        with self._writing, self.files:
            for operation in self._journal or []:
                adopted.update(operation)
            self._journal = None
            old, old_folder = self.engine, self.folder
            self.engine, self.folder = adopted, target
            self._point()
        time.sleep(GRACE_SECONDS)
        old.close()
        shutil.rmtree(old_folder)

    def abandon(self, target: Path) -> None:
        self._journal = None
        shutil.rmtree(target)

    def segments(self) -> list[str]:
        return sorted(self.engine.snapshot_manifest())

    def close(self) -> None:
        self.engine.close()

    def _point(self) -> None:
        fresh = self.parent / "current.new"
        fresh.write_text(self.folder.name)
        fresh.replace(self.parent / "current")


def _copy_sparse(source: str, target: str) -> None:
    """Copy a file without its holes: the engine allocates tens of megabytes that stay empty."""
    with Path(source).open("rb") as read, Path(target).open("wb") as write:
        size, begin = os.fstat(read.fileno()).st_size, 0
        os.truncate(write.fileno(), size)
        while begin < size:
            try:
                begin = os.lseek(read.fileno(), begin, os.SEEK_DATA)
            except OSError:  # only a hole is left
                return
            end = os.lseek(read.fileno(), begin, os.SEEK_HOLE)
            os.pwrite(write.fileno(), os.pread(read.fileno(), end - begin, begin), begin)
            begin = end
