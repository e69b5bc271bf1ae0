"""Why a request to Qdrant failed: typed reasons, and messages without addresses."""

import json
import re
from collections.abc import Mapping

import httpx

from exporter.datastores.http_client import http_reason
from exporter.errors import QueryError, Reason

_REASONS: Mapping[int, Reason] = {
    401: "auth", 403: "privilege", 404: "query", 405: "unsupported", 408: "timeout", 413: "limit", 429: "limit",
    501: "unsupported", 502: "connect", 503: "connect", 504: "timeout", 507: "limit",
}  # fmt: skip
_ERROR_BYTES = 4096  # of an error response, which are read for its text
_ERROR_TEXT_LENGTH = 200
_ADDRESS = re.compile(r"\S*:\d{2,5}\b\S*")


def reason_of(error: BaseException) -> Reason:
    """Classify what reading and evaluating a page may raise."""
    known = http_reason(error)
    if known is not None:
        return known
    # Qdrant's own client wraps errors in exceptions of its own, which are not worth its import.
    source, status = getattr(error, "source", None), getattr(error, "status_code", None)
    if isinstance(source, BaseException):
        return reason_of(source)
    if isinstance(status, int):
        return reason_of_status(status)
    return "decode"  # any other error comes from a page of an unexpected form


def reason_of_status(status: int) -> Reason:
    return _REASONS.get(status, "query")


def refusal(path: str, status: int, content: bytes) -> QueryError:
    """Make the error of a response that is not the requested page."""
    text = _error_text(content)
    if status == httpx.codes.NOT_FOUND and not text:  # an unknown route; for an unknown collection there is a text
        return QueryError("unsupported", f"the server has no {page_name(path)}")
    return QueryError(reason_of_status(status), f"{page_name(path)} answered {status} {text}".rstrip())


def page_name(path: str) -> str:
    return path.partition("?")[0]


def _error_text(content: bytes) -> str:
    """Return the text of an error response, without the addresses of other peers in it."""
    head = content[:_ERROR_BYTES]
    try:
        text = str(json.loads(head)["status"]["error"])
    except (ValueError, TypeError, KeyError, RecursionError):
        text = head.decode("utf-8", "replace")
    return _ADDRESS.sub("(an address)", text[:_ERROR_TEXT_LENGTH])
