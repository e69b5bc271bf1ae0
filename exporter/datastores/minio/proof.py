"""What a response proves about its sender: MinIO, another S3 server, or another program on the same port.

Proxies, login pages, consoles and other programs respond on any path, often with HTTP 200. So a status alone proves
nothing: an S3 server sends its errors as documents of its own, and MinIO's health endpoints send an empty body with
headers that only S3 servers send.
"""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple
from xml.etree.ElementTree import TreeBuilder
from xml.parsers import expat

from exporter.datastores.minio.session import ErrorResponse, Health

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,99}")
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,40}/[\w.+-]{1,40}")
_SMALL = 64 * 1024  # bytes of an error document
_HEALTH_STATUSES = {200, 503}
_OK, _REDIRECTS = 200, range(300, 400)


class Response(NamedTuple):
    """An HTTP response, its headers by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


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


def accepts_keys(response: Response) -> bool:
    """Return whether this is a bucket's location, which only accepted keys get."""
    page = _xml(response)
    return response.status == _OK and page is not None and page.root == "LocationConstraint"


def health_of(what: str, response: Response) -> Health:
    """Return the response of one of MinIO's health endpoints; raise ErrorResponse for any other response."""
    silent = not response.body or (response.status != _OK and code_of(response) != "")
    # An object of that name in another server's bucket of the name minio would have a tag.
    if response.status not in _HEALTH_STATUSES or not silent or not _of_minio(response) or "etag" in response.headers:
        raise error_response(what, response)
    return Health(response.status, response.headers)


def _of_minio(response: Response) -> bool:
    """Return whether an S3 server sent the response; a proxy may have replaced MinIO's name by its own."""
    headers = response.headers
    named = headers.get("server", "").lower().startswith("minio")
    return named or "x-amz-request-id" in headers or any(name.startswith("x-minio-") for name in headers)


def _json_code(response: Response) -> str:
    """Return the error code in JSON, as MinIO's own endpoints send it; other programs send JSON, too."""
    try:
        page = json.loads(response.body) if _of_minio(response) else None
    except (ValueError, RecursionError):
        return ""
    return str(page.get("Code", "")) if isinstance(page, dict) else ""


def _error(response: Response) -> Mapping[str, str]:
    page = _xml(response)
    return page.fields if page is not None and page.root == "Error" else {}


def _xml(response: Response) -> XmlPage | None:
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
