"""Which targets this process polls, where several processes share one configuration."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several shares; Prometheus' relabelling action `hashmod` assigns a target's name to the same one."""

    index: int
    count: int

    def holds(self, target: str) -> bool:
        return name_hash(target) % self.count == self.index

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def parse_shard(value: str) -> Shard:
    """Parse 0/3, the first of three."""
    index, slash, count = value.partition("/")
    if not slash or not index.isdecimal() or not count.isdecimal() or int(index) >= int(count):
        raise ValueError(f"{value!r} is not a shard: 0/3, 1/3 and 2/3 are those of three")
    return Shard(int(index), int(count))


def name_hash(name: str) -> int:
    """Return the 64 bits that `hashmod` takes: the later half of the MD5 sum."""
    return int.from_bytes(hashlib.md5(name.encode(), usedforsecurity=False).digest()[8:], "big")
