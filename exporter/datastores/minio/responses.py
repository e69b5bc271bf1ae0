"""What a MinIO server's answers look like to us, whichever client brought them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from exporter.datastores.json_path import Json
from exporter.datastores.prometheus_text import NativePage

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


class Pages(Protocol):
    """What operations may read; each is read from the server at most once in a pass."""

    @property
    def drives_per_set(self) -> Sequence[int]: ...
    async def health(self, endpoint: str) -> Health: ...
    async def metrics(self) -> NativePage: ...
    async def info(self) -> Json: ...
    async def account(self) -> Json: ...
    async def usage(self) -> Json: ...
