"""What a MinIO server's answers look like to us, whichever client brought them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from exporter.datastores.prometheus_page import PageSample, lines, parse

Json = Mapping[str, object]

# 404, 405 and 501: no such endpoint; 426 and the S3 words: another API version, another server.
_NOT_THERE = {404, 405, 426, 501}
_NOT_THERE_CODES = {"NotImplemented", "MethodNotAllowed", "NoSuchBucket", "NoSuchKey", "XMinioAdminVersionMismatch"}


class Refused(Exception):  # noqa: N818 - an answer, not a fault of ours
    """The server answered, but not with what was asked for; `code` is its own word, when it has one."""

    def __init__(self, what: str, status: int, code: str) -> None:
        super().__init__(f"{what}: HTTP {status} {code}".rstrip())
        self.status = status
        self.code = code

    @property
    def not_there(self) -> bool:
        return self.status in _NOT_THERE or self.code in _NOT_THERE_CODES

    @property
    def denied(self) -> bool:
        """Tell whether the keys are fine and the policy is not."""
        return self.status == 403 and self.code in {"AccessDenied", ""}  # noqa: PLR2004 - HTTP's forbidden


class Health(NamedTuple):
    """The answer of a health endpoint: its status, and its headers by lower-case name."""

    status: int
    headers: Mapping[str, str]


class NativePage:
    """The server's own metrics page; lines are kept by family and read when somebody asks for the family."""

    def __init__(self, body: bytes) -> None:
        families: dict[bytes, list[bytes]] = defaultdict(list)
        for line in lines(body):
            if not line.startswith(b"#"):
                families[line.partition(b"{")[0].partition(b" ")[0]].append(line)
        self._lines = families

    def samples(self, family: str) -> list[PageSample]:
        lines = self._lines.get(family.encode(), ())
        return [sample for sample in parse(b"\n".join(lines), (family,)) if sample[0] == family]

    def value(self, family: str) -> float | None:
        """Return a fact of the whole cluster, whose only label is the node that happened to answer."""
        return next((value for _, _, value in self.samples(family)), None)


class Pages(Protocol):
    """What operations may read; each is read from the server at most once in a pass."""

    @property
    def drives_per_set(self) -> Sequence[int]: ...
    async def health(self, endpoint: str) -> Health: ...
    async def metrics(self) -> NativePage: ...
    async def info(self) -> Json: ...
    async def account(self) -> Json: ...
    async def usage(self) -> Json: ...


def objects(parent: Json, key: str) -> Sequence[Json]:
    """Return the objects of a JSON array; the server writes null for an empty one."""
    found = parent.get(key)
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []


def number(parent: Json, key: str) -> float | None:
    found = parent.get(key)
    return float(found) if isinstance(found, int | float) else None
