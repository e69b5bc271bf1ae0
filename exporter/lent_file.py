"""Files that OpenSSL reads by their names, lent to it from memory: it would wait for one that does not answer."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.bounded_file import read_bounded


@contextmanager
def lent_file(file: Path) -> Iterator[str]:
    """Yield a name under which a file's content is read without waiting; raise OSError as `read_bounded` does."""
    with lent(read_bounded(file)) as name:
        yield name


@contextmanager
def lent(content: bytes) -> Iterator[str]:
    """Yield a name under which content is read; on Linux it touches no disk."""
    if hasattr(os, "memfd_create"):
        file = open(os.memfd_create("lent"), "w+b", buffering=0)  # noqa: PTH123, SIM115 - a descriptor is no path
    else:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
    with file:
        file.write(content)
        file.seek(0)
        yield f"/dev/fd/{file.fileno()}"
