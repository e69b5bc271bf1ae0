"""Snapshots of Qdrant: archives of tar, of the files of a collection, or of several such."""

from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backups.formats.packing.tar import is_tar, tar_problem
from exporter.datastores.backups.formats.sample import Sample
from exporter.datastores.backups.look import Look, Verdict


async def verify(_look: Look, sample: Sample) -> Verdict:
    if is_tar(sample.head):
        return Verdict(await tar_problem(sample))
    if sample.size < 512:  # noqa: PLR2004 - a header
        return Verdict(Problem("truncated", f"only {sample.size} bytes"))
    return Verdict(Problem("format", "no snapshot of Qdrant: not an archive of tar"))
