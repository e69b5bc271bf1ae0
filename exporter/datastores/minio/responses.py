"""What a MinIO server's answers look like to us, whichever client brought them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from exporter.datastores.json_path import Json
from exporter.datastores.prometheus_text import PageSample, parse
from exporter.errors import QueryError

_MOST_SAMPLES = 30_000  # of one family: 100 nodes have as many

# Without a word of the server's own these prove nothing: a proxy, too, may say so.
_NOT_THERE = {404, 405, 426, 501}
_NOT_THERE_CODES = {"NotImplemented", "MethodNotAllowed", "NoSuchBucket", "NoSuchKey", "XMinioAdminVersionMismatch"}
_FORBIDDEN, _OWN_TROUBLE = 403, 500


class Refused(Exception):  # noqa: N818 - an answer, not a fault of ours
    """An answer that is not what was asked for; `code` is the server's own word, empty where no S3 server gave it."""

    def __init__(self, what: str, status: int, code: str, kind: str = "") -> None:
        said = code or f"({kind}): neither MinIO nor another S3 server answers like this; is a proxy between?"
        super().__init__(f"{what}: HTTP {status} {said}")
        self.status = status
        self.code = code

    @property
    def foreign(self) -> bool:
        """Tell whether something answered that is no S3 server, or not its own answer."""
        return not self.code

    @property
    def not_there(self) -> bool:
        return bool(self.code) and (self.status in _NOT_THERE or self.code in _NOT_THERE_CODES)

    @property
    def denied(self) -> bool:
        """Tell whether the keys are fine and the policy is not."""
        return self.status == _FORBIDDEN and self.code == "AccessDenied"

    @property
    def of_another_server(self) -> bool:
        """Tell whether an S3 server has said that it has no such endpoint: to others than MinIO it is an object."""
        return bool(self.code) and self.status < _OWN_TROUBLE


class Health(NamedTuple):
    """The answer of a health endpoint: its status, and its headers by lower-case name."""

    status: int
    headers: Mapping[str, str]


class NativePage:
    """The server's own metrics page; a family is read when somebody asks for it."""

    def __init__(self, body: bytes) -> None:
        self._body = b"\n" + body + b"\n"

    @property
    def of_minio(self) -> bool:
        return b"\nminio_" in self._body

    @property
    def size(self) -> int:
        return len(self._body)

    def samples(self, family: str) -> list[PageSample]:
        lines = list(islice(self._lines(family.encode()), _MOST_SAMPLES + 1))
        if len(lines) > _MOST_SAMPLES:
            raise QueryError("limit", f"the metrics page has more than {_MOST_SAMPLES} samples of {family}")
        return list(parse(b"\n".join(lines), (family,)))

    def value(self, family: str) -> float | None:
        """Return a fact of the whole cluster, whose only label is the node that happened to answer."""
        return next((value for _, _, value in self.samples(family)), None)

    def _lines(self, family: bytes) -> Iterator[bytes]:
        start, sought = -1, b"\n" + family
        while (start := self._body.find(sought, start + 1)) >= 0:
            if self._body[start + len(sought)] in b"{ \t":  # not of a family with a longer name
                yield self._body[start + 1 : self._body.index(b"\n", start + 1)]


class Pages(Protocol):
    """What operations may read; each is read from the server at most once in a pass."""

    @property
    def drives_per_set(self) -> Sequence[int]: ...
    async def health(self, endpoint: str) -> Health: ...
    async def metrics(self) -> NativePage: ...
    async def info(self) -> Json: ...
    async def account(self) -> Json: ...
    async def usage(self) -> Json: ...
