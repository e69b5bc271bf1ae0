"""What a response proves about its sender: MinIO, another S3 server, or another program on the same port.

MinIO's health endpoints send an empty body with headers that only S3 servers send.
"""

from exporter.datastores.minio.session import Health
from exporter.datastores.s3.response import Response, code_of, error_response, is_of_s3, xml_of

_HEALTH_STATUSES = {200, 503}
_OK = 200


def accepts_keys(response: Response) -> bool:
    """Return whether this is a bucket's location, which only accepted keys get."""
    page = xml_of(response)
    return response.status == _OK and page is not None and page.root == "LocationConstraint"


def health_of(what: str, response: Response) -> Health:
    """Return the response of one of MinIO's health endpoints; raise ErrorResponse for any other response."""
    silent = not response.body or (response.status != _OK and code_of(response) != "")
    # An object of that name in another server's bucket of the name minio would have a tag.
    if response.status not in _HEALTH_STATUSES or not silent or not is_of_s3(response) or "etag" in response.headers:
        raise error_response(what, response)
    return Health(response.status, response.headers)
