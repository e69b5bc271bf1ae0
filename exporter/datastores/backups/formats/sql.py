"""Dumps as SQL, of pg_dump and pg_dumpall: their last lines say that they are complete."""

import re

from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backups.formats.sample import Sample
from exporter.datastores.backups.look import Look, Verdict

BEGINS = (b"--\n-- PostgreSQL database dump\n--\n", b"--\n-- PostgreSQL database cluster dump\n--\n")
_BEGIN = re.compile(rb"^-- PostgreSQL database (cluster )?dump\r?$", re.MULTILINE)
_KEY = re.compile(rb"^\\restrict (\w+)\r?$", re.MULTILINE)
END = re.compile(rb"^-- PostgreSQL database (cluster )?dump complete\r?\n--\r?$", re.MULTILINE)


def is_sql_dump(head: bytes) -> bool:
    return _BEGIN.search(head) is not None


async def verify(_look: Look, sample: Sample) -> Verdict:
    """Judge a dump: the last comment is there, that of the whole cluster where the first one says so.

    The databases in a dump of a cluster have ends of their own. Newer versions end with the key that they began with.
    """
    begin = _BEGIN.search(sample.head)
    if begin is None:
        return Verdict(Problem("format", "no dump of pg_dump or pg_dumpall as SQL"))
    truncated = Verdict(Problem("truncated", f"no completion comment at {sample.size} bytes"))
    ends = [end for end in END.finditer(sample.tail) if end[1] == begin[1]]
    if not ends:
        return truncated
    if b"\0" in sample.tail[ends[-1].end() :]:
        return Verdict(Problem("format", "zeros after its end"))
    key = _KEY.search(sample.head)
    if key is not None and not begin[1]:
        line = rb"\unrestrict " + key[1]
        rest = sample.tail[ends[-1].end() :].splitlines()
        return Verdict() if line in rest else truncated
    return Verdict()
