"""Archives of pg_dump -Ft: a tar whose first file is the table of contents, the last one a script to restore it."""

from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backups.formats.packing.tar import BLOCK, tar_problem
from exporter.datastores.backups.formats.pg_dump.toc import ArchiveFormatError, CutError, parse
from exporter.datastores.backups.formats.sample import Sample
from exporter.datastores.backups.formats.sql import END
from exporter.datastores.backups.look import Look, Verdict

BEGINS = (b"toc.dat".ljust(100, b"\0"),)
_END_BYTES = 2048  # at most 511 zeros fill up the script, 1024 follow


def is_pg_dump_tar(head: bytes) -> bool:
    return head.startswith(BEGINS)


async def verify(look: Look, sample: Sample) -> Verdict:
    """Judge an archive: its end, and the script's last comment before it."""
    try:
        archive = parse(sample.head[BLOCK:])
    except ArchiveFormatError as error:
        return Verdict(Problem("format", str(error)))
    except CutError:
        return Verdict(Problem("truncated", f"its header ends at {sample.size} bytes"))
    problem = await tar_problem(sample)
    if problem is None:
        end = await sample.read(max(0, sample.size - _END_BYTES), _END_BYTES)
        if END.search(end.rstrip(b"\0")) is None:
            problem = Problem("truncated", f"no completion comment at {sample.size} bytes")
    return Verdict(problem, archive.time(look.zone))
