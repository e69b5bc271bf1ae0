"""Which files of a place belong to a set: a glob by the segments of a path."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from itertools import accumulate, pairwise

_WILD = frozenset("*?[")
_ANY_FOLDERS = "**"


@dataclass(frozen=True, slots=True)
class Selection:
    """The names that a glob chooses: `*`, `?` and `[...]` within a segment, `**` for any number of folders.

    As in a shell, a wildcard does not match a dot at the begin of a segment. With a slash at its end the glob chooses
    folders, and all that lies below them. The time to match a name grows with its length, whatever the name is.
    """

    files: str

    @property
    def prefix(self) -> str:
        """Return what every name begins with."""
        for position, character in enumerate(self.files):
            if character in _WILD:
                return self.files[:position]
        return self.files

    @property
    def folder(self) -> str:
        """Return the folder that every name lies in, with its slash; empty for the place itself."""
        return self.prefix[: self.prefix.rfind("/") + 1]

    @property
    def deep(self) -> bool:
        """Return whether files may lie in folders below the prefix's last slash."""
        rest = self.files[len(self.folder) :]
        return self.of_folders or "/" in rest or _ANY_FOLDERS in rest

    @property
    def of_folders(self) -> bool:
        return self.files.endswith("/")

    def matches(self, name: str) -> bool:
        """Tell whether a file belongs to the set."""
        if self.of_folders:
            return any(self.chooses(folder) for folder in folders(name))
        return self.chooses(name)

    def chooses(self, name: str) -> bool:
        """Tell whether the glob chooses this name, of a file or of a folder with a slash at its end or without."""
        return _matches(_groups(self.files), name.removesuffix("/").split("/"))


def folders(name: str) -> Sequence[str]:
    """Return the folders that a file lies in, the outermost first, each with a slash at its end."""
    segments = name.split("/")[:-1]
    return tuple(accumulate(f"{segment}/" for segment in segments))


_Segments = tuple[re.Pattern[str], ...]


@lru_cache(maxsize=1024)
def _groups(files: str) -> tuple[_Segments, ...]:
    """Return the patterns of the segments, divided at each `**`."""
    groups: list[list[re.Pattern[str]]] = [[]]
    segments = files.removesuffix("/").split("/")
    for segment, following in pairwise([*segments, ""]):
        if segment != _ANY_FOLDERS:
            groups[-1].append(_segment(segment))
        elif following != _ANY_FOLDERS:
            groups.append([])
    return tuple(tuple(group) for group in groups)


def _segment(glob: str) -> re.Pattern[str]:
    hidden = "" if glob[:1] not in _WILD else r"(?!\.)"
    return re.compile(hidden + translate(glob))  # it has atomic groups: no wildcard is tried twice


def _matches(groups: tuple[_Segments, ...], segments: Sequence[str]) -> bool:
    """Match the first and the last group at the ends, each other one as early as it can be."""
    first, *rest = groups
    if not _fits(first, segments, 0):
        return False
    position = len(first)
    if not rest:
        return position == len(segments)
    *middle, last = rest
    for group in middle:
        found = next((at for at in range(position, len(segments)) if _fits(group, segments, at)), None)
        if found is None:
            return False
        position = found + len(group)
    end = len(segments) - len(last)
    return end >= position and _fits(last, segments, end) and (bool(last) or end > position)


def _fits(group: _Segments, segments: Sequence[str], at: int) -> bool:
    """Tell whether the segments from `at` on begin with those of a group."""
    there = segments[at : at + len(group)]
    return len(there) == len(group) and all(
        pattern.match(segment) for pattern, segment in zip(group, there, strict=True)
    )
