"""A walk of folders is the sorted list of whole names, whatever is asked of it."""

import tempfile
import time
from bisect import bisect_right
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.datastores.backups.places.file_threads import Call
from exporter.datastores.backups.places.folder_walk import FolderWalk

PART = st.text("ab-.0é", min_size=1, max_size=3).filter(lambda part: part not in (".", ".."))
NAME = st.lists(PART, min_size=1, max_size=4).map("/".join)


def planted(root: Path, names: list[str]) -> list[str]:
    """Make files; one whose folder is a file already, or the other way round, is left out."""
    made = set[str]()
    for name in names:
        file = root / name
        if not any(parent.is_file() for parent in file.parents) and not file.is_dir():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            made.add(name)
    return sorted(made)


def shown(files: list[str], prefix: str, after: str, *, deep: bool) -> list[str]:
    """Return what a bucket with these names shows."""
    found = [name for name in files if name.startswith(prefix)]
    if not deep:
        level = prefix.rfind("/") + 1
        found = sorted({name[:level] + name[level:].partition("/")[0] + "/" * ("/" in name[level:]) for name in found})
    return found[bisect_right(found, after) :]


@settings(max_examples=150, deadline=None)
@given(st.lists(NAME, max_size=12), st.one_of(st.just(""), NAME), st.one_of(st.just(""), NAME), st.data())
def test_walk_shows_what_a_bucket_with_these_names_shows(
    names: list[str], prefix: str, after: str, data: st.DataObject
) -> None:
    """Page by page, from any name on, below any prefix."""
    deep, most = data.draw(st.booleans()), data.draw(st.integers(1, 4))
    with tempfile.TemporaryDirectory() as folder:
        files = planted(Path(folder), names)
        walk = FolderWalk(Path(folder), prefix, after, deep=deep)
        found = list[str]()
        while not walk.ended:
            page = walk.page(most, Call("", time.monotonic() + 60))
            assert len(page.entries) + len(page.folders) <= most
            found += sorted([*(entry.name for entry in page.entries), *page.folders])

    assert found == shown(files, prefix, after, deep=deep)
