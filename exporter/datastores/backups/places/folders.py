"""Folders and files below the root of a place, opened so that nothing in them leads elsewhere, blocks or is changed."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.datastores.backups.places.place import GoneError
from exporter.errors import QueryError
from exporter.logs import visible

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.ENXIO}
_DENIED = {errno.EACCES, errno.EPERM}
_OURS = {
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
}  # out of descriptors or memory: this machine's fault, not the place's
_PIECE = 2**20


def open_root(root: Path) -> int:
    """Return a descriptor of the root, which may be a link; raise QueryError where it is no folder to list."""
    try:
        descriptor = os.open(root, _FOLDER)
    except OSError as error:
        raise _of_root(error) from None
    try:
        os.stat(".", dir_fd=descriptor)  # needs the right to enter
    except OSError as error:
        os.close(descriptor)
        raise _of_root(error) from None
    return descriptor


def open_folder(root: Path, folder: str) -> int:
    """Return a descriptor of a folder below the root, its name with a slash at its end; raise OSError."""
    descriptor = open_root(root)
    for part in folder.split("/")[:-1]:
        try:
            _check_part(part)
            below = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def read_part(root: Path, name: str, start: int, length: int) -> bytes:
    """Return a part of a regular file below the root; raise GoneError where there is none, and QueryError."""
    folder, _, last = name.rpartition("/")
    try:
        with opened_folder(root, f"{folder}/" if folder else "") as descriptor:
            _check_part(last)
            # First: to open a device may already do something.
            _check_regular(os.stat(last, dir_fd=descriptor, follow_symlinks=False))
            file = os.open(last, _FILE, dir_fd=descriptor)
        try:
            _check_regular(os.fstat(file))
            return _read(file, start, length)
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        if is_gone(error):
            raise GoneError(name) from None
        raise failure(name, error) from None


@contextmanager
def opened_folder(root: Path, folder: str) -> Iterator[int]:
    """Yield a descriptor of a folder."""
    descriptor = open_folder(root, folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_gone(error: OSError | ValueError) -> bool:
    """Return whether an error says that there is no such file or folder, or cannot be one of this name."""
    return not isinstance(error, OSError) or error.errno in _GONE


def failure(name: str, error: OSError | ValueError) -> Exception:
    """Return what to raise for an error of something below the root; the text names it, relative to the place."""
    if isinstance(error, OSError) and error.errno in _OURS:
        return error
    why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    denied = isinstance(error, OSError) and error.errno in _DENIED
    advice = "; let the user of the exporter read it" if denied else ""
    return QueryError(
        "privilege" if denied else "connect", f"read {visible(name) or 'the folder'}: {_lower(why)}{advice}"
    )


def _of_root(error: OSError) -> Exception:
    if error.errno == errno.ENOENT:
        return QueryError("connect", "no such folder; is it mounted?")
    if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
        return QueryError("connect", "the place is no folder; is it mounted?")
    if error.errno in _DENIED:
        return QueryError("privilege", "read: permission denied; the exporter must read and enter the folder (r-x)")
    return failure("", error)


def _check_part(part: str) -> None:
    if part in ("", ".", ".."):
        raise FileNotFoundError(errno.ENOENT, "no name of a file or a folder")


def _check_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(errno.ENOENT, "it is not a regular file")


def _read(file: int, start: int, length: int) -> bytes:
    content = bytearray()
    while len(content) < length and (piece := os.pread(file, min(length - len(content), _PIECE), start + len(content))):
        content += piece
    return bytes(content)


def _lower(why: str) -> str:
    return why[:1].lower() + why[1:]
