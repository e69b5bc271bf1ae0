"""Names of files below a place of backups, and the globs that stand for them."""

import re
from typing import Annotated

from pydantic import AfterValidator

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CLASS = re.compile(r"\[!?+\]?+[^\]]*\]")  # of characters
_RANGE = re.compile(r"(.)-(.)")
_MOST = 1024  # bytes: the longest name of an object
_EXAMPLE = "a glob such as daily/*.dump, or a folder with a slash at its end, such as daily/"


def _check_path(path: str) -> None:
    """Raise ValueError where a path does not lie below its place, or is not written as plainly as it can be."""
    if not path or path == "/":
        raise ValueError(f"expected {_EXAMPLE}")
    if path.startswith("/"):
        raise ValueError("it lies below the place: write it without the leading slash")
    if _CONTROL.search(path):
        raise ValueError("it has a control character, such as NUL or the end of a line")
    if len(path.encode(errors="surrogatepass")) > _MOST:
        raise ValueError(f"it has more than {_MOST} bytes")
    if not is_plain(path):
        raise ValueError("it lies below the place: write it without '.', '..' and two slashes in a row")


def is_plain(path: str) -> bool:
    """Return whether a path has no '.', '..' and empty parts: other ways to write it would mean the same."""
    return not any(part in ("", ".", "..") for part in path.removesuffix("/").split("/"))


def valid_file(path: str) -> str:
    """Return the path of a file below its place; raise ValueError where it is none."""
    _check_path(path)
    if path.endswith("/"):
        raise ValueError("it is a file: no slash at its end")
    return path


def valid_glob(glob: str) -> str:
    """Return a glob of files below its place; raise ValueError where it is none, or leaves the place."""
    _check_path(glob)
    if "\\" in glob:
        raise ValueError("a backslash separates and escapes nothing: write / between folders, and [*] for a '*'")
    for part in glob.split("/"):
        _check_part(part)
    return glob


def is_folder(glob: str) -> bool:
    """Return whether it is the name of one folder."""
    return glob.endswith("/") and not has_wildcards(glob)


def has_wildcards(glob: str) -> bool:
    return any(character in glob for character in "*?[")


def _check_part(part: str) -> None:
    outside = _CLASS.sub("", part)
    if "[" in outside:
        raise ValueError("a bracket is opened and not closed before the next slash; write [[] for a '[' in a name")
    for found in _CLASS.findall(part):
        if any(first > last for first, last in _RANGE.findall(found[1:-1])):
            raise ValueError(f"{found[:20]} has a range that ends before it begins")
    if "**" in outside and outside != "**":
        raise ValueError("'**' stands alone between slashes: **/*.dump")


File = Annotated[str, AfterValidator(valid_file)]
FileGlob = Annotated[str, AfterValidator(valid_glob)]
