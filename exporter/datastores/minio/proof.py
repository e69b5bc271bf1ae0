"""What an answer proves about who gave it: MinIO, another S3 server, or something else that listens there.

Proxies, login pages, consoles and programs of other kinds answer any path, often with HTTP 200. So a status alone
proves nothing: an S3 server says why in a document of its own, and MinIO's health endpoints say nothing at all, under
headers that only S3 servers send.
"""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from exporter.datastores.minio.responses import ErrorResponse, Health
from exporter.datastores.minio.xml_page import XmlPage, read_xml

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,99}")
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,40}/[\w.+-]{1,40}")
_SMALL = 64 * 1024  # bytes: what says why there is nothing else
_ANSWERS = {200, 503}  # of a health endpoint: yes and no
_OK, _REDIRECTS = 200, range(300, 400)


class Answer(NamedTuple):
    """One HTTP answer, its headers by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def error_response(what: str, answer: Answer) -> ErrorResponse:
    """Return why an answer is not what was asked for, in the server's own word where it has one."""
    return ErrorResponse(what, answer.status, code_of(answer), _kind(answer))


def code_of(answer: Answer) -> str:
    """Return the server's word for what is wrong, empty where the answer is no S3 server's or MinIO's."""
    if answer.status < _REDIRECTS.start or len(answer.body) > _SMALL:
        return ""
    code = _error(answer).get("Code", "") or _json_code(answer)
    return code if _CODE.fullmatch(code) else ""


def knows_keys(answer: Answer) -> bool:
    """Tell whether this is the good answer to the question where a bucket lies."""
    page = _xml(answer)
    return answer.status == _OK and page is not None and page.root == "LocationConstraint"


def health_of(what: str, answer: Answer) -> Health:
    """Return the answer of one of MinIO's health endpoints; raise ErrorResponse for what is no such answer."""
    silent = not answer.body or (answer.status != _OK and code_of(answer) != "")
    # An object of that name in another server's bucket of the name minio would have a tag.
    if answer.status not in _ANSWERS or not silent or not _of_minio(answer) or "etag" in answer.headers:
        raise error_response(what, answer)
    return Health(answer.status, answer.headers)


def _of_minio(answer: Answer) -> bool:
    """Tell whether an S3 server gave the answer; a proxy in between may have put its own name in place of MinIO's."""
    headers = answer.headers
    named = headers.get("server", "").lower().startswith("minio")
    return named or "x-amz-request-id" in headers or any(name.startswith("x-minio-") for name in headers)


def _json_code(answer: Answer) -> str:
    """Return what MinIO's own endpoints say; JSON alone could be of any program."""
    try:
        page = json.loads(answer.body) if _of_minio(answer) else None
    except (ValueError, RecursionError):
        return ""
    return str(page.get("Code", "")) if isinstance(page, dict) else ""


def _error(answer: Answer) -> Mapping[str, str]:
    page = _xml(answer)
    return page.fields if page is not None and page.root == "Error" else {}


def _xml(answer: Answer) -> XmlPage | None:
    return read_xml(answer.body) if 0 < len(answer.body) <= _SMALL else None


def _kind(answer: Answer) -> str:
    """Name what kind of answer it is, for who looks for the program that gave it."""
    if answer.status in _REDIRECTS:
        return "a redirect"
    found = _MEDIA_TYPE.match(answer.headers.get("content-type", ""))
    return found[0] if found else "without a content type" if answer.body else "with an empty body"
