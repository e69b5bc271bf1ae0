"""Files of any format: the first bytes tell which. What is known of none counts by its name, time and size alone."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from exporter.config.backup_policy import Format as FormatName
from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backups.formats import neo4j, qdrant, sql
from exporter.datastores.backups.formats.encrypted import UNENCRYPTED, encrypted_problem, is_encrypted
from exporter.datastores.backups.formats.files import CANDIDATE_BYTES, Candidate, Verify, backups_of, candidate_of
from exporter.datastores.backups.formats.folders import folder_candidates
from exporter.datastores.backups.formats.packing.compressed import BZIP2, LZ4, XZ, ZIP, ZSTD, packed_problem
from exporter.datastores.backups.formats.packing.gzip_file import MAGIC as GZIP
from exporter.datastores.backups.formats.packing.gzip_file import gzip_problem
from exporter.datastores.backups.formats.packing.tar import is_tar, tar_problem
from exporter.datastores.backups.formats.pg_dump import custom as pg_dump
from exporter.datastores.backups.formats.pg_dump import tar as pg_dump_tar
from exporter.datastores.backups.formats.pg_dump.toc import MAGIC as PG_DUMP
from exporter.datastores.backups.formats.sample import Sample
from exporter.datastores.backups.listing import listed
from exporter.datastores.backups.look import Found, Look, Verdict
from exporter.datastores.backups.places.place import Entry
from exporter.datastores.backups.selection import folders
from exporter.datastores.off_loop import off_loop

Kind = str
_PACKED: Iterable[tuple[bytes, Kind]] = (
    (GZIP, "gzip"), (XZ, "packed"), (BZIP2, "packed"), (ZSTD, "packed"), (LZ4, "packed"), (ZIP, "packed"),
)  # fmt: skip


# Of a file that is shorter than one of these and begins alike, it is not even known what it was to be.
_BEGINS = (
    *(magic for magic, _ in _PACKED), PG_DUMP, *pg_dump_tar.BEGINS, *sql.BEGINS, *neo4j.BEGINS,
)  # fmt: skip


async def _gzip(_look: Look, sample: Sample) -> Verdict:
    return Verdict(await gzip_problem(sample))


async def _packed(_look: Look, sample: Sample) -> Verdict:
    return Verdict(await packed_problem(sample))


async def _tar(_look: Look, sample: Sample) -> Verdict:
    return Verdict(await tar_problem(sample))


_VERIFY: Mapping[Kind, Verify] = MappingProxyType(
    {
        "pg_dump": pg_dump.verify, "pg_dump tar": pg_dump_tar.verify, "sql": sql.verify, "neo4j": neo4j.verify,
        "gzip": _gzip, "packed": _packed, "tar": _tar,
    }
)  # fmt: skip
_ACCEPTED: Mapping[FormatName, tuple[Kind, ...]] = MappingProxyType(
    {
        "pg_dump": ("pg_dump", "pg_dump tar", "sql", "gzip", "packed"),
        "sql": ("sql", "gzip", "packed"),
    }
)
_WANTED: Mapping[FormatName, Verify] = MappingProxyType(
    {"pg_dump": pg_dump.verify, "sql": sql.verify, "neo4j": neo4j.verify, "qdrant": qdrant.verify}
)
_OPEN_ENDED = ("gzip", "packed")  # whose end may look right by chance while more is being written


def kind_of(head: bytes) -> Kind | None:
    """Return what the first bytes of a file say that it is."""
    if head.startswith(PG_DUMP):
        return "pg_dump"
    if neo4j.is_neo4j_dump(head):
        return "neo4j"
    for magic, kind in _PACKED:
        if head.startswith(magic):
            return kind
    if pg_dump_tar.is_pg_dump_tar(head):
        return "pg_dump tar"
    if is_tar(head):
        return "tar"
    return "sql" if sql.is_sql_dump(head) else None


async def verify(look: Look, sample: Sample) -> Verdict:
    """Judge a file; one that is encrypted by its head alone, which the set may demand."""
    if not any(sample.head) and not any(sample.tail):
        return Verdict(Problem("format", "its first and last bytes are zeros: nothing was written there"))
    if is_encrypted(sample.head):
        return Verdict(encrypted_problem(sample))
    if look.chosen.encrypted and not await look.place.encrypted_at_rest(sample.entry.name):
        return Verdict(UNENCRYPTED)
    if any(len(sample.head) < len(begin) and begin.startswith(sample.head) for begin in _BEGINS):
        return Verdict(Problem("truncated", f"only {sample.size} bytes"))
    kind, wanted = kind_of(sample.head), _WANTED.get(look.chosen.format)
    if wanted is not None and kind not in _ACCEPTED.get(look.chosen.format, ()):
        return (await wanted(look, sample))._replace(whole=True)
    return Verdict() if kind is None else (await _VERIFY[kind](look, sample))._replace(whole=kind not in _OPEN_ENDED)


async def read(look: Look) -> Found:
    """Read a set whose files, and folders of pg_dump -Fd, are each a backup."""
    found = await listed(look)
    dumps = await folder_candidates(look, found)
    candidates = await off_loop(len(found.entries) * CANDIDATE_BYTES, _candidates, look, found.entries, dumps)
    return await backups_of(look, candidates)


def _candidates(look: Look, entries: Sequence[Entry], dumps: Sequence[Candidate]) -> Sequence[Candidate]:
    """Return the folders, and the files that lie in none of them."""
    known = {dump.entry.name for dump in dumps}
    files = entries if not known else [entry for entry in entries if known.isdisjoint(folders(entry.name))]
    return [*dumps, *(candidate_of(look, entry, verify) for entry in files)]
