"""Classify what goes wrong with an S3 server: error responses by the code of S3, everything else as HTTP."""

from collections.abc import Mapping

from exporter.datastores.http_client import http_reason
from exporter.datastores.s3.response import ErrorResponse
from exporter.errors import Reason
from exporter.units import span

CLOCKS_DIFFER = "RequestTimeTooSkewed"

_AUTH_CODES = {
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidTokenId", "ExpiredToken",
    "InvalidToken", "AuthorizationHeaderMalformed", "AuthorizationParametersError", "XAdminUserNotFound",
}  # fmt: skip
_FORBIDDEN, _SERVER_ERROR = 403, 500
_REASONS: Mapping[int, Reason] = {401: "auth", 407: "auth", 408: "timeout", 429: "limit", 504: "timeout"}


def reason_of(error: BaseException) -> Reason:
    """Classify an error of the client, of the connection under it, or of our own."""
    return _reason_of_response(error) if isinstance(error, ErrorResponse) else http_reason(error) or "decode"


def _reason_of_response(error: ErrorResponse) -> Reason:
    if error.code == CLOCKS_DIFFER:
        return "limit"
    if error.denied:
        return "privilege"
    # Each server has codes of its own for keys that it does not accept.
    if error.code in _AUTH_CODES or (error.status == _FORBIDDEN and not error.not_s3 and not error.not_found):
        return "auth"
    if error.status in _REASONS:
        return _REASONS[error.status]
    if error.status >= _SERVER_ERROR and not error.not_found:
        return "connect"
    return "unsupported" if error.not_s3 or error.not_found else "query"


def clocks(skew: float | None) -> str:
    """Say how far a server's clock is from ours, as a refused signature shows."""
    if skew is None:
        return "the clocks of the server and of the exporter's machine differ too much"
    where = "ahead of" if skew > 0 else "behind"
    return f"the server's clock is {span(round(abs(skew), -1))} {where} the exporter's"
