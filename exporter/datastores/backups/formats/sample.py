"""What is read of one file to judge it: its head, its tail, and few more ranges where a format needs them."""

from dataclasses import dataclass

from exporter.datastores.backups.places.place import Entry, Place

HEAD = 4096  # bytes
TAIL = 512
MOST_READS = 8  # of one file, with head and tail


class TooManyReadsError(Exception):
    """A format wants to read more of a file than it may, and must judge by what it has read."""


@dataclass(slots=True)
class Sample:
    """A file's head and tail. The tail of a short file is within its head."""

    place: Place
    entry: Entry
    head: bytes = b""
    tail: bytes = b""
    reads: int = 0
    most_reads: int = MOST_READS

    @property
    def size(self) -> int:
        return self.entry.bytes

    async def read(self, start: int, length: int) -> bytes:
        """Return a range of the file, from the head or the tail where it lies there."""
        end = min(start + length, self.size)
        if end <= len(self.head):
            return self.head[start:end]
        tail_begin = self.size - len(self.tail)
        if start >= tail_begin:
            return self.tail[start - tail_begin : end - tail_begin]
        if self.reads >= self.most_reads:
            raise TooManyReadsError
        self.reads += 1
        return await self.place.read(self.entry.name, start, end - start)


async def sample_of(place: Place, entry: Entry) -> Sample:
    """Read a file's head and tail. Raises GoneError, and QueryError `privilege` where the file may not be read."""
    sample = Sample(place, entry)
    sample.head = await sample.read(0, HEAD)
    sample.tail = await sample.read(max(0, entry.bytes - TAIL), TAIL)
    return sample
