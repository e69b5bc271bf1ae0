"""The operations of health endpoints and native metrics."""

import asyncio

import pytest

from exporter.datastores.minio.operations import HealthParams, NativeParams, health
from exporter.datastores.minio.session import Health
from exporter.datastores.s3.response import ErrorResponse
from exporter.errors import QueryError
from exporter.queries.query import Row
from tests.support.minio_pages import OnePage


@pytest.mark.parametrize(
    ("answer", "row"),
    [
        (OnePage(200, x_minio_write_quorum="3"), {"ok": True, "quorum": 3.0, "status": "pass"}),
        (OnePage(503, x_minio_write_quorum="3"), {"ok": False, "quorum": 3.0, "status": "fail"}),
        (OnePage(503, x_minio_server_status="offline"), {"ok": False, "quorum": None, "status": "warn"}),
    ],
)
def test_health(answer: OnePage, row: Row) -> None:
    """A server that still starts is not one that has lost its quorum."""
    rows = asyncio.run(health(answer, HealthParams(endpoint="cluster"), None))  # type: ignore[arg-type]  # one page will do

    assert rows == [row]


def test_health_endpoint_that_is_not_there() -> None:
    """An endpoint that the server lacks is unsupported; a response of another program is an error."""
    for error, raised in (
        (ErrorResponse("health", 403, "AccessDenied"), QueryError),  # old releases
        (ErrorResponse("health", 404, "NoSuchBucket"), QueryError),  # other servers
        (ErrorResponse("health", 403, "", "text/html"), ErrorResponse),
        (ErrorResponse("health", 503, "ServerBusy"), ErrorResponse),
    ):

        class Pages:
            async def health(self, _endpoint: str, error: ErrorResponse = error) -> Health:
                raise error

        with pytest.raises(raised):
            asyncio.run(health(Pages(), HealthParams(endpoint="cluster"), None))  # type: ignore[arg-type]  # enough


def test_native_refuses_what_reading_resets() -> None:
    """Two readers of that family steal from each other."""
    with pytest.raises(ValueError, match="means nothing"):
        NativeParams(columns={"incoming": "minio_s3_requests_incoming_total"})
