"""A place that is a bucket, or the part of one below a prefix, of any S3 server."""

import json
import time
from asyncio import timeout
from collections.abc import Awaitable
from typing import TypeVar

import httpx

from exporter.config.stores.minio import MinioTarget
from exporter.datastores.backups.places.denials import Denials
from exporter.datastores.backups.places.place import DiskUse, GoneError, Page
from exporter.datastores.backups.places.s3_failures import query_error
from exporter.datastores.backups.places.s3_walk import S3Walk
from exporter.datastores.http_client import BODY_BYTES, http_reason
from exporter.datastores.off_loop import off_loop
from exporter.datastores.s3.client import S3Client
from exporter.datastores.s3.listing import Listing, encoded, listing_query, read_listing
from exporter.datastores.s3.response import Response, code_of, error_response, is_of_s3
from exporter.datastores.s3.signing import keys_of
from exporter.datastores.tls import CertificateExpiry, tls_of
from exporter.errors import QueryError
from exporter.logs import visible
from exporter.queries.conditions import ServerInfo

_LIST, _GET = "s3:ListBucket", "s3:GetObject"
_LIST_SECONDS, _READ_SECONDS = 10.0, 5.0
_KEYS_SECONDS = 30.0  # then their files are read again, also where nobody pings
_RECONNECT_SECONDS = 600.0
_ERROR_BYTES = 64 * 1024
_OK, _PART, _NOT_FOUND, _BEYOND_THE_END = 200, 206, 404, 416
_NO_DISK = "a bucket has no file system of its own"
_WORDS = {"connect": "the server cannot be reached", "decode": "the server does not send HTTP"}

_T = TypeVar("_T")


class S3Place:
    """List and read objects with signed requests; the keys are read anew, so that they may be rotated.

    prefix: how the names of the place's objects begin; entries are named without it.
    """

    shows_whole = True
    reads_all_or_none = True

    def __init__(
        self,
        server: MinioTarget,
        bucket: str,
        prefix: str = "",
        marker: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._server = server
        self._bucket = bucket
        self._prefix = prefix
        self._marker = marker
        self._tls = tls_of(server)
        self._client = S3Client(server.url.get_secret_value(), server.region, self._tls, transport)
        self._expiry = CertificateExpiry()
        self._denials = Denials()
        self._walks: dict[tuple[str, bool, str], S3Walk] = {}
        self._keys_read_at = self._connected_at = -_RECONNECT_SECONDS

    @property
    def clock_skew(self) -> float | None:
        return self._client.clock_skew

    async def close(self) -> None:
        await self._client.close()

    async def ping(self) -> ServerInfo:
        """Make a listing of one object at most: it needs the right that is needed anyway."""
        self._client.clock_skew, self._keys_read_at = None, 0.0
        if time.monotonic() - self._connected_at >= _RECONNECT_SECONDS:
            self._connected_at = time.monotonic()
            self._client.reconnect()  # the next handshake shows the certificate that the server has by then
        await self._prove()
        actions = self._denials.actions()
        return ServerInfo(
            version="",
            edition="s3",
            capabilities={"disk": _NO_DISK},
            missing_privileges={action: self._statement(action) for action in actions},
            tls_not_after=await self._expiry.of(self._tls.certificate if self._tls else None),
        )

    async def _prove(self) -> None:
        try:
            with self._denials.noting(_LIST, ""):
                marker = self._marker or ""
                listing = await self._request(listing_query(self._prefix + marker, deep=True, keys=1))
        except QueryError as error:
            if error.reason != "privilege":
                raise
            return
        if marker and not any(one.key == self._prefix + marker for one in listing.objects):
            raise QueryError("connect", "its marker is not there: is this the right bucket?")

    async def list(self, prefix: str, *, deep: bool, after: str = "", most: int = 10_000) -> Page:
        walk = self._walks.pop((prefix, deep, after), None)
        if walk is None or walk.too_old:
            walk = S3Walk(self._prefix, prefix, after, deep=deep)
        with self._denials.noting(_LIST, f"{prefix}*"):
            page = await self._reached(walk.page(most, self._request), _LIST_SECONDS)
        if page.more:
            for key, held in list(self._walks.items())[:-3]:
                self._walks.pop(key, held)
            self._walks[prefix, deep, walk.last_name] = walk
        return page

    async def read(self, name: str, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        response = await self._get(name, start, length)
        if response is None:
            return b""
        content = response.body if response.status == _PART else response.body[:length]
        if len(content) > length:
            raise QueryError("decode", f"read {visible(name)}: the server sent more than it was asked for")
        return content

    async def encrypted_at_rest(self, name: str) -> bool:
        """Ask for one byte instead of the headers alone: a refusal then says why."""
        response = await self._get(name, 0, 1)
        return response is not None and any(
            value for header, value in response.headers.items() if header.startswith("x-amz-server-side-encryption")
        )

    async def disk(self) -> DiskUse | None:
        return None

    async def _get(self, name: str, start: int, length: int) -> Response | None:
        """Return a response with a part of an object; None where the part lies beyond its end."""
        with self._denials.noting(_GET, name):
            return await self._reached(self._get_part(name, start, length), _READ_SECONDS)

    async def _get_part(self, name: str, start: int, length: int) -> Response | None:
        self._refresh_keys()
        path = f"/{self._bucket}/{encoded(self._prefix + name, safe='/')}"
        headers, what = {"range": f"bytes={start}-{start + length - 1}"}, f"read {visible(name)}"
        try:
            response = await self._client.get_signed(path, max(length, _ERROR_BYTES), headers)
        except QueryError as error:
            if error.reason != "limit":
                raise
            raise QueryError(
                "decode", f"{what}: the server sends whole objects, although a part is asked for"
            ) from None
        code = code_of(response)
        if response.status == _NOT_FOUND and code == "NoSuchKey":
            raise GoneError(name)
        if response.status == _BEYOND_THE_END and code == "InvalidRange":
            return None
        if not _is_part(response, start):
            raise query_error(what, _GET, error_response(what, response), self.clock_skew)
        return response

    async def _request(self, query: str) -> Listing:
        self._refresh_keys()
        response = await self._client.get_signed(f"/{self._bucket}?{query}", BODY_BYTES)
        listing = None
        if response.status == _OK:
            listing = await off_loop(len(response.body), read_listing, response.body)
        if listing is None:
            what = "list the bucket"
            raise query_error(what, _LIST, error_response(what, response), self.clock_skew)
        return listing

    def _refresh_keys(self) -> None:
        now = time.monotonic()
        if now - self._keys_read_at >= _KEYS_SECONDS or not self._keys_read_at:
            self._client.set_credentials(keys_of(self._server))
            self._keys_read_at = now

    async def _reached(self, work: Awaitable[_T], seconds: float) -> _T:
        """Await requests within a deadline, and say in our own words what goes wrong below HTTP."""
        try:
            async with timeout(seconds):
                return await work
        except TimeoutError:
            raise QueryError("timeout", f"no answer within {seconds:g} s") from None
        except (httpx.HTTPError, OSError) as error:
            reason = http_reason(error) or "connect"
            raise QueryError(reason, _WORDS.get(reason, f"no whole answer: {reason}")) from None

    def _statement(self, action: str) -> str:
        """Return the statement of a policy that grants an action."""
        resource = self._bucket if action == _LIST else f"{self._bucket}/{self._prefix}*"
        return json.dumps({"Effect": "Allow", "Action": [action], "Resource": [f"arn:aws:s3:::{resource}"]})


def _is_part(response: Response, start: int) -> bool:
    """Return whether an S3 server sent the part of an object; some send all of a small one."""
    if not (is_of_s3(response) or "etag" in response.headers):
        return False
    if response.status == _PART:
        return response.headers.get("content-range", "").startswith(f"bytes {start}-")
    return response.status == _OK and start == 0
