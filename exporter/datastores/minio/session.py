"""What operations use of a session, and the responses of a MinIO server as they see them; loads no client."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from exporter.datastores.json_text import objects
from exporter.datastores.prometheus_text import NativePage
from exporter.queries.operation import PageSession

# These count only with an error code of the server: a proxy may send them, too.
_NOT_FOUND = {404, 405, 426, 501}
_NOT_FOUND_CODES = {"NotImplemented", "MethodNotAllowed", "NoSuchBucket", "NoSuchKey", "XMinioAdminVersionMismatch"}
_FORBIDDEN, _SERVER_ERROR = 403, 500


class ErrorResponse(Exception):  # noqa: N818 - named as S3's documentation names it
    """A response other than the one that was requested; `code` is S3's error code, empty without one.

    not_s3: no S3 server sent it: it has no error code.
    not_found: the server has no such endpoint, bucket or key.
    denied: the keys are accepted, and the policy forbids the call.
    lacks_endpoint: an S3 server that is not MinIO sent it: it takes the path of a MinIO endpoint for an object.
    """

    def __init__(self, what: str, status: int, code: str, kind: str = "") -> None:
        said = code or f"({kind}): neither MinIO nor another S3 server answers like this; is a proxy between?"
        super().__init__(f"{what}: HTTP {status} {said}")
        self.status = status
        self.code = code
        self.not_s3 = not code
        self.not_found = bool(code) and (status in _NOT_FOUND or code in _NOT_FOUND_CODES)
        self.denied = status == _FORBIDDEN and code == "AccessDenied"
        self.lacks_endpoint = bool(code) and status < _SERVER_ERROR


class Health(NamedTuple):
    """The response of a health endpoint: its status, and its headers by lower-case name."""

    status: int
    headers: Mapping[str, str]


class OperationSession(PageSession, Protocol):
    """The session as operations see it; each page is read from the server once in a pass."""

    @property
    def drives_per_set(self) -> Sequence[int]: ...

    async def read(self, page: str) -> Any:
        """Return the NativePage `metrics`, or one of ADMIN_PAGES."""

    async def health(self, endpoint: str) -> Health: ...


def size_of(page: object) -> int:
    """Return the bytes of the metrics page, or about how many the lists of an admin page take."""
    if isinstance(page, NativePage):
        return page.size
    if not isinstance(page, Mapping):
        return 0
    drives = sum(len(objects(node, "drives")) for node in objects(page, "servers"))
    return 200 * (drives + sum(len(found) for found in page.values() if isinstance(found, list | dict)))
