"""Requests to one MinIO server: one client, few connections, no retries; each response must prove what sent it."""

import re
import secrets
import ssl
from asyncio import Lock, timeout
from typing import Any

import httpx

from exporter.datastores.json_text import Json, parse_json
from exporter.datastores.minio.admin_pages import ADMIN_PAGES
from exporter.datastores.minio.proof import accepts_keys, health_of
from exporter.datastores.minio.session import Health
from exporter.datastores.minio.signing import Bearer
from exporter.datastores.off_loop import off_loop
from exporter.datastores.prometheus_text import NativePage
from exporter.datastores.s3.client import S3Client
from exporter.datastores.s3.response import Response, error_response
from exporter.datastores.s3.signing import Keys
from exporter.errors import QueryError

NO_KEYS = "needs access_key and secret_key"

_SMALL, _METRICS = 64 * 1024, 8 * 2**20  # bytes of a response
_MOST_SAMPLES = 30_000  # of one family: 100 nodes have as many
_ADMIN, _PARSED = 12 * 2**20, 40 * 2**20  # for 12,000 buckets with the scanner's counts
_ADMIN_SECONDS = 5.0
_NOT_ASCII = bytes(range(0x80, 0x100))
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_OK = 200


class Connection:
    """Send requests to one server; each ends when its caller is cancelled.

    clock_skew: how many seconds the server's clock was ahead of ours at the last response; None where it had no date.
    """

    def __init__(
        self,
        url: str,
        region: str,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = S3Client(url, region, tls, transport)
        self._bearer = Bearer()
        self._large = Lock()
        self._nowhere = f"datatier-exporter-{secrets.token_hex(8)}"

    @property
    def keys(self) -> Keys | None:
        return self._client.keys

    @property
    def clock_skew(self) -> float | None:
        return self._client.clock_skew

    def forget_clock(self) -> None:
        self._client.clock_skew = None

    def set_credentials(self, keys: Keys | None) -> None:
        """Sign with these keys from now on; no I/O."""
        self._client.set_credentials(keys)

    def reconnect(self) -> None:
        """Close the connection after the next request, so that the one after it makes a new TLS handshake."""
        self._client.reconnect()

    async def close(self) -> None:
        await self._client.close()

    async def prove_keys(self, bucket: str = "") -> None:
        """Make a signed call whose cost does not depend on what is stored; raise ErrorResponse unless it succeeds.

        Every S3 server returns the location of a bucket. An existing bucket leaves no error in the server's metrics;
        without the name of one, a random name is used, for which NoSuchBucket proves that the signature was right.
        """
        bucket = bucket if _BUCKET.fullmatch(bucket) else self._nowhere
        response = await self._signed(f"/{bucket}?location=", _SMALL)
        if not accepts_keys(response):
            raise error_response("S3 call", response)

    async def page(self, name: str) -> Any:
        """Read the metrics page, or one of ADMIN_PAGES."""
        return await (self.metrics() if name == "metrics" else self.admin(name))

    async def admin(self, name: str) -> Json:
        """Read one of ADMIN_PAGES.

        Never accountinfo with prefix-usage: the server then returns the first bucket's prefixes for every bucket.
        """
        page = ADMIN_PAGES[name]
        what = f"admin call {page.call}"
        async with self._large, timeout(_ADMIN_SECONDS):  # one at a time: each takes much memory for a moment
            response = await self._signed(f"/minio/admin/v3/{page.call}", _ADMIN)
            if response.status != _OK or not response.body[:_SMALL].lstrip().startswith(b"{"):
                raise error_response(what, response)
            content = await parse_json(_ascii(response.body), what, _PARSED)
            if not isinstance(content, dict) or page.sign not in content:
                raise error_response(what, response)
            return await off_loop(len(response.body), page.kept, content)

    async def health(self, endpoint: str) -> Health:
        path = f"/minio/health/{endpoint}"
        return health_of(path, await self._client.get(path, _SMALL))

    async def metrics(self) -> NativePage:
        headers = self._bearer.headers(self.keys) if self.keys else {}
        path = "/minio/v2/metrics/cluster"
        response = await self._client.get(path, _METRICS, {"Accept": "text/plain;version=0.0.4", **headers})
        page = NativePage(response.body, _MOST_SAMPLES)
        if response.status != _OK or not page.has("minio_"):
            raise error_response("metrics page", response)
        return page

    async def _signed(self, path: str, most: int) -> Response:
        if self.keys is None:
            raise QueryError("unsupported", NO_KEYS)
        return await self._client.get_signed(path, most)


def _ascii(page: bytes) -> bytes:
    """Drop what only free texts hold, none of which is read: one such character makes a string four times as large."""
    return page if page.isascii() else page.translate(None, _NOT_ASCII)
