"""What a response proves about its sender: an S3 server, or another program on the same port.

Proxies, login pages, consoles and other programs respond on any path, often with HTTP 200. So a status alone proves
nothing: an S3 server sends its errors as documents of its own.
"""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple
from xml.etree.ElementTree import TreeBuilder
from xml.parsers import expat

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,99}")
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,40}/[\w.+-]{1,40}")
_SMALL = 64 * 1024  # bytes of an error document
_REDIRECTS = range(300, 400)
# These count only with an error code of the server: a proxy may send them, too.
_NOT_FOUND = {404, 405, 426, 501}
_NOT_FOUND_CODES = {"NotImplemented", "MethodNotAllowed", "NoSuchBucket", "NoSuchKey", "XMinioAdminVersionMismatch"}
_FORBIDDEN, _SERVER_ERROR = 403, 500


class Response(NamedTuple):
    """An HTTP response, its headers by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


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


class XmlPage(NamedTuple):
    """A small XML document: its root's name, and the texts of the elements right below; names have no namespace."""

    root: str
    fields: Mapping[str, str]


def error_response(what: str, response: Response) -> ErrorResponse:
    """Return the error for a response that is not the requested one, with the server's error code where it has one."""
    return ErrorResponse(what, response.status, code_of(response), _kind(response))


def code_of(response: Response) -> str:
    """Return the error code of a response, empty where no S3 server sent it."""
    if response.status < _REDIRECTS.start or len(response.body) > _SMALL:
        return ""
    code = _error(response).get("Code", "") or _json_code(response)
    return code if _CODE.fullmatch(code) else ""


def is_of_s3(response: Response) -> bool:
    """Return whether an S3 server sent the response; a proxy may have replaced MinIO's name by its own."""
    headers = response.headers
    named = headers.get("server", "").lower().startswith("minio")
    return named or "x-amz-request-id" in headers or any(name.startswith("x-minio-") for name in headers)


def _json_code(response: Response) -> str:
    """Return the error code in JSON, as MinIO's own endpoints send it; other programs send JSON, too."""
    try:
        page = json.loads(response.body) if is_of_s3(response) else None
    except (ValueError, RecursionError):
        return ""
    return str(page.get("Code", "")) if isinstance(page, dict) else ""


def _error(response: Response) -> Mapping[str, str]:
    page = xml_of(response)
    return page.fields if page is not None and page.root == "Error" else {}


def xml_of(response: Response) -> XmlPage | None:
    return read_xml(response.body) if 0 < len(response.body) <= _SMALL else None


def _kind(response: Response) -> str:
    """Describe a response without an error code, to find the program that sent it."""
    if response.status in _REDIRECTS:
        return "a redirect"
    found = _MEDIA_TYPE.match(response.headers.get("content-type", ""))
    return found[0] if found else "without a content type" if response.body else "with an empty body"


def read_xml(body: bytes) -> XmlPage | None:
    """Parse a document; return None where it is no XML. One with a DTD is rejected, as entities can grow."""
    builder = TreeBuilder()
    parser = expat.ParserCreate(namespace_separator=" ")  # that of ElementTree would go on and expand the entities
    parser.StartDoctypeDeclHandler = _reject
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(body, True)  # noqa: FBT003 - expat's signature
    except (expat.ExpatError, _DoctypeError):
        return None
    root = builder.close()
    return XmlPage(_name(root.tag), {_name(field.tag): field.text or "" for field in root})


class _DoctypeError(Exception):
    """The document has a DTD."""


def _reject(*_: object) -> None:
    raise _DoctypeError


def _name(tag: str) -> str:
    return tag.rpartition(" ")[2]
