"""Folders that are one backup each, as pg_dump -Fd makes them."""

import re
from collections.abc import Sequence

from exporter.datastores.backups.formats.encrypted import UNENCRYPTED
from exporter.datastores.backups.formats.files import Candidate
from exporter.datastores.backups.formats.pg_dump.directory import TOC, verify_folder
from exporter.datastores.backups.formats.sample import TooManyReadsError
from exporter.datastores.backups.listing import Listed, listed
from exporter.datastores.backups.look import Look, Verdict
from exporter.datastores.backups.places.place import Entry
from exporter.datastores.backups.selection import Selection

_DATA = re.compile(r"(\d{1,20}\.dat|blobs?_?\d{0,20}\.(toc|dat))(\.gz|\.lz4|\.zst)?\Z")  # names that pg_dump gives
_FORMATS = ("auto", "pg_dump")


async def folder_candidates(look: Look, found: Listed) -> Sequence[Candidate]:
    """Return the folders that the glob itself chooses and that pg_dump wrote.

    So `apex_*` chooses files and folders, `apex_*/` folders only: then each must be a dump, if there is a file in it.
    """
    if look.chosen.format not in _FORMATS:
        return ()
    demanded = look.chosen.files.endswith("/")
    return [
        _candidate(look, folder, entries)
        for folder, entries in await _inside(look, found)
        if entries and (demanded or any(map(_written, entries)))
    ]


def _written(entry: Entry) -> bool:
    name = entry.name.rpartition("/")[2]
    return name == TOC or _DATA.match(name) is not None


async def _inside(look: Look, found: Listed) -> Sequence[tuple[str, Sequence[Entry]]]:
    """Return the files of each folder: of a deep listing they are there, of others they are listed now."""
    if Selection(look.chosen.files).deep:
        files: dict[str, list[Entry]] = {folder: [] for folder in found.folders}
        for entry in found.entries:
            folder = entry.name[: entry.name.rfind("/") + 1]
            if folder in files:
                files[folder].append(entry)
        return list(files.items())
    return [(folder, (await listed(look, _files_of(folder))).entries) for folder in found.folders]


def _files_of(folder: str) -> Selection:
    literal = re.sub(r"([*?[])", r"[\1]", folder)
    return Selection(literal + "*")


def _candidate(look: Look, folder: str, entries: Sequence[Entry]) -> Candidate:
    """Return a folder as one backup: its size is that of all its files, its modification that of the newest."""
    whole = Entry(folder, sum(entry.bytes for entry in entries), max((e.modified for e in entries), default=0.0))

    async def judge() -> Verdict:
        try:
            verdict = await verify_folder(look, folder, entries)
        except TooManyReadsError:
            return Verdict()
        encrypted = not look.chosen.encrypted or await look.place.encrypted_at_rest(folder + TOC)
        return verdict._replace(whole=True) if encrypted or verdict.problem else Verdict(UNENCRYPTED)

    return Candidate(whole, judge)
