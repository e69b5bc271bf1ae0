"""Dumps of Neo4j: `DZV1` and a frame of zstd, or `DGV1` and a file of gzip, which hold an archive of its store.

An artifact of the Enterprise Edition's online backup (`.backup`) has a form that is not described: it must not be
empty.
"""

from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backups.formats.packing.compressed import ZSTD, packed_problem
from exporter.datastores.backups.formats.packing.gzip_file import MAGIC as GZIP
from exporter.datastores.backups.formats.packing.gzip_file import gzip_problem
from exporter.datastores.backups.formats.sample import Sample
from exporter.datastores.backups.look import Look, Verdict

_ZSTD, _GZIP = b"DZV1", b"DGV1"
BEGINS = (_ZSTD + ZSTD, _GZIP + GZIP)


def is_neo4j_dump(head: bytes) -> bool:
    return head.startswith((_ZSTD, _GZIP))


async def verify(_look: Look, sample: Sample) -> Verdict:
    packed = sample.head[4:]
    if sample.head.startswith(_ZSTD) and packed.startswith(ZSTD[: len(packed)]):
        return Verdict(await packed_problem(sample, 4))
    if sample.head.startswith(_GZIP) and packed.startswith(GZIP[: len(packed)]):
        return Verdict(await gzip_problem(sample, 4))
    if sample.entry.name.endswith(".backup"):
        return Verdict()
    return Verdict(Problem("format", "no dump of Neo4j"))
