"""What the error of an S3 server means for a place, and what its user can do."""

from collections.abc import Mapping

from exporter.datastores.s3.errors import CLOCKS_DIFFER, clocks, reason_of
from exporter.datastores.s3.response import ErrorResponse
from exporter.errors import QueryError, Reason

_ADVICE: Mapping[str, tuple[Reason, str]] = {
    "NoSuchBucket": ("connect", "the server has no bucket of this name"),
    "PermanentRedirect": ("connect", "the bucket has another endpoint: set the region's URL and `region`"),
    "TemporaryRedirect": ("connect", "the bucket has another endpoint: set the region's URL and `region`"),
    "AuthorizationHeaderMalformed": ("auth", "the server expects another `region`"),
    "InvalidArgument": ("unsupported", "MinIO's console says so, too; the API has a port of its own"),
    "InvalidObjectState": ("unsupported", "it lies in an archive, and must be restored before it can be read"),
    "NotImplemented": ("unsupported", "the server does not have this call of S3"),
}


def query_error(what: str, action: str, error: ErrorResponse, skew: float | None) -> QueryError:
    """Return the typed error; `action` is what a policy must allow."""
    if error.code in _ADVICE:
        reason, advice = _ADVICE[error.code]
        return QueryError(reason, f"{error}: {advice}")
    if error.code == CLOCKS_DIFFER:
        return QueryError("limit", f"{error}: {clocks(skew)}")
    if error.denied:
        return QueryError("privilege", f"{what}: the policy of the keys lacks {action}")
    reason = reason_of(error)
    # Only an error code of S3 shows that the server lacks something; without one the answer was not readable.
    return QueryError("decode" if error.not_s3 and reason == "unsupported" else reason, str(error))
