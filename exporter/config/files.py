"""Read files that users name, within a bound and a deadline: one may be a pipe, endless, or on a mount that hangs."""

import asyncio
import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import NamedTuple, TypeVar

MOST_BYTES = 2**20  # of a secret, a certificate or a bundle of them
PATIENCE = 5.0  # seconds: a mount that is made on demand may take some
ON_THE_LOOP = 1.0  # seconds: the loop is blocked meanwhile
_IMPATIENCE = 0.1  # seconds: while another file hangs, so that a hundred on one mount do not add up
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_Found = TypeVar("_Found")
_hanging: dict[Path, Thread] = {}


class Stamp(NamedTuple):
    """What differs when a file is another one, or has other content."""

    modified: int
    inode: int
    size: int


def read_bounded(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return a regular file's content; raise OSError for anything else, a larger one, one that takes too long."""
    return in_time(path, lambda: _read(path, most))


def stamp(path: Path, most: int = MOST_BYTES) -> Stamp:
    """Return the stamp of a file that `read_bounded` would read; raise OSError as it does."""
    found = in_time(path, lambda: _checked(path.stat(), most))
    return Stamp(found.st_mtime_ns, found.st_ino, found.st_size)


def in_time(path: Path, look: Callable[[], _Found]) -> _Found:
    """Return what `look` returns for a path; raise OSError when it takes too long.

    A call on a mount that hangs cannot be interrupted: a thread makes it, one for each path, and until it ends no other
    call is made on that path. The end of the process does not wait for it.
    """
    _forget_finished()
    if path in _hanging:
        raise OSError(errno.EIO, "it still does not answer", str(path))
    found: list[_Found | OSError] = []
    thread = Thread(target=lambda: found.append(_tried(path, look)), name=f"file {path}", daemon=True)
    patience = _patience()
    try:
        thread.start()
    except RuntimeError:  # the machine has no thread left, and most files answer
        found.append(_tried(path, look))
    else:
        thread.join(patience)
    if thread.is_alive():
        _hanging[path] = thread
        raise OSError(errno.EIO, f"no answer within {patience:g} s", str(path))
    result = found[0] if found else OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), str(path))
    if isinstance(result, OSError):
        raise result
    return result


def _patience() -> float:
    if _hanging:
        return _IMPATIENCE
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # a start, a check or a reload, where no loop is blocked
        return PATIENCE
    return min(ON_THE_LOOP, PATIENCE)


def _forget_finished() -> None:
    for path, thread in list(_hanging.items()):
        if not thread.is_alive():
            _hanging.pop(path, None)


def _tried(path: Path, look: Callable[[], _Found]) -> _Found | OSError:
    try:
        return look()
    except OSError as error:
        return error
    except ValueError:
        return OSError(errno.EINVAL, "no file can have this name", str(path))


def _read(path: Path, most: int) -> bytes:
    _checked(path.stat(), most)  # first: to open a device may already do something
    descriptor = os.open(path, _FLAGS)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor is no path
        _checked(os.fstat(descriptor), most)
        content = bytearray()
        while len(content) <= most and (piece := file.read(most + 1 - len(content))):
            content += piece
    if len(content) > most:
        raise _too_large(most)
    return bytes(content)


def _checked(found: os.stat_result, most: int) -> os.stat_result:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    if found.st_size > most:
        raise _too_large(most)
    return found


def _too_large(most: int) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {most / 2**20:g} MiB")


@contextmanager
def lent_file(file: Path) -> Iterator[str]:
    """Yield a name under which a file's content can be read at once; raise OSError as `read_bounded` does."""
    with lent(read_bounded(file)) as name:
        yield name


@contextmanager
def lent(content: bytes) -> Iterator[str]:
    """Yield a name under which content can be read; on Linux it is not written to a disk."""
    if hasattr(os, "memfd_create"):
        file = open(os.memfd_create("lent"), "w+b", buffering=0)  # noqa: PTH123, SIM115 - a descriptor is no path
    else:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
    with file:
        file.write(content)
        file.seek(0)
        yield f"/dev/fd/{file.fileno()}"
