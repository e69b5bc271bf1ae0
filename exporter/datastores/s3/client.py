"""Requests to one S3 server: one client, few connections, no retries."""

import ssl
from collections.abc import Mapping
from types import MappingProxyType

import httpx

from exporter.datastores.http_client import http_client
from exporter.datastores.refcount import RefCounted
from exporter.datastores.s3.response import Response
from exporter.datastores.s3.signing import Keys, signed_headers
from exporter.errors import QueryError

_BACKSTOP_SECONDS = 60.0  # the callers' deadlines come first
_NOTHING: Mapping[str, str] = MappingProxyType({})


class S3Client:
    """Send requests to one server; each ends when its caller is cancelled.

    keys: what requests are signed with; None for no signature.
    clock_skew: how many seconds the server's clock was ahead of ours at the last response; None where it had no date.
    """

    def __init__(
        self,
        url: str,
        region: str,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = http_client(url, tls, _BACKSTOP_SECONDS, transport)
        self._base = str(self._client.base_url).rstrip("/")
        self._shared = RefCounted(self._client.aclose)
        self._region = region
        self._reconnecting: Mapping[str, str] = {}
        self.keys: Keys | None = None
        self.clock_skew: float | None = None

    def set_credentials(self, keys: Keys | None) -> None:
        """Sign with these keys from now on; no I/O."""
        if keys and not (keys.access.isascii() and keys.access.isprintable()):
            raise QueryError("auth", "the access key holds characters that a header cannot carry")
        self.keys = keys

    def reconnect(self) -> None:
        """Close the connection after the next request, so that the one after it makes a new TLS handshake."""
        self._reconnecting = {"connection": "close"}

    async def close(self) -> None:
        await self._shared.close_when_idle()

    async def get(self, path: str, most: int, headers: Mapping[str, str] = _NOTHING) -> Response:
        """Return the response, of at most so many bytes."""
        return await self._send(path, most, headers, {})

    async def get_signed(self, path: str, most: int, headers: Mapping[str, str] = _NOTHING) -> Response:
        """Return the response to a request that is signed, where there are keys.

        path: with its query, both encoded; they are sent as they are: a client that removes dots or a slash of an
        object's name would break the signature.
        """
        signed = signed_headers(self.keys, self._region, self._base + path) if self.keys else _NOTHING
        return await self._send(path, most, {**signed, **headers}, {"target": path.encode()})

    async def _send(
        self, path: str, most: int, headers: Mapping[str, str], extensions: Mapping[str, bytes]
    ) -> Response:
        reconnecting, self._reconnecting = self._reconnecting, {}
        async with self._shared:
            response = await self._client.get(
                path, headers={**headers, **reconnecting}, extensions={"body_bytes": most, **extensions}
            )
        self.clock_skew = response.extensions["clock_skew"]
        return Response(response.status_code, {k.lower(): v for k, v in response.headers.items()}, response.content)
