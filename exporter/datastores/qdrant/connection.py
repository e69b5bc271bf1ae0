"""The HTTP clients of a Qdrant server: one for pages, and Qdrant's own for searches."""

import ssl
from asyncio import Lock
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import httpx

from exporter.datastores.http_client import BODY_BYTES, Bounded, http_client, http_transport
from exporter.datastores.json_text import PARSED_BYTES, parse_json
from exporter.datastores.qdrant.errors import page_name, refusal
from exporter.datastores.refcount import RefCounted
from exporter.errors import QueryError

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient

_BACKSTOP_SECONDS = 60.0  # the poller's deadlines are shorter; this ends requests that have no caller any more
_SEARCH_BYTES = 2**20  # of one response to a canary: a thousand hits have some 100 kB


class Connection:
    """Read pages of one server, at most one of /telemetry and /metrics at a time.

    The server guards these two by one mutex: requested side by side they wait for each other, and twice as many
    requests pile up behind a collection that is stuck.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None, transport: httpx.AsyncBaseTransport | None) -> None:
        self._client = http_client(url, tls, _BACKSTOP_SECONDS, transport)
        self._shared = RefCounted(self._client.aclose)
        self._telemetry_mutex = Lock()
        self._reconnecting: dict[str, str] = {}
        self.clock_skew: float | None = None  # of the last response

    def reconnect(self) -> None:
        """Close the connection after the next request, so that the one after it makes a new TLS handshake."""
        self._reconnecting = {"connection": "close"}

    async def close(self) -> None:
        await self._shared.close_when_idle()

    def use_key(self, api_key: str | None) -> None:
        """Send this key from now on; also to /readyz and /, which Qdrant Cloud's gateway guards as well."""
        if api_key is None:
            self._client.headers.pop("api-key", None)
        elif not (api_key.isascii() and api_key.isprintable()):
            raise QueryError("auth", "the API key holds characters that a header cannot carry")
        else:
            self._client.headers["api-key"] = api_key

    async def read(self, path: str, body: object = None, seconds: float | None = None, most: int = BODY_BYTES) -> bytes:
        """GET a page, or POST a body to it; raise QueryError for every status but 200."""
        status, content = await self.exchange(path, body, seconds, most)
        if status != httpx.codes.OK:
            raise refusal(path, status, content)
        return content

    async def json(self, path: str, body: object = None, seconds: float | None = None) -> object:
        """Read a JSON page and take what Qdrant wraps as `result` out of it."""
        return await result_of(path, await self.read(path, body, seconds))

    async def exchange(
        self, path: str, body: object = None, seconds: float | None = None, most: int = BODY_BYTES
    ) -> tuple[int, bytes]:
        """Return the status and the body of a response, whatever the status is."""
        guarded = path.startswith(("/telemetry", "/metrics"))
        timeout = _BACKSTOP_SECONDS if seconds is None else seconds
        method = "GET" if body is None else "POST"
        headers, self._reconnecting = self._reconnecting, {}
        async with self._shared, self._telemetry_mutex if guarded else nullcontext():
            response = await self._client.request(
                method, path, json=body, timeout=timeout, headers=headers, extensions={"body_bytes": most}
            )
        self.clock_skew = response.extensions["clock_skew"]
        return response.status_code, response.content


async def result_of(path: str, content: bytes, most: int = PARSED_BYTES) -> Any:
    """Parse a JSON page and take what Qdrant wraps as `result` out of it."""
    page = await parse_json(content, page_name(path), most)
    return page["result"] if isinstance(page, dict) and "result" in page else page


class SearchClient:
    """Qdrant's own client, imported only where a canary is configured: it costs 75 MiB."""

    def __init__(self, url: str, tls: ssl.SSLContext | None, transport: httpx.AsyncBaseTransport | None) -> None:
        self._url = url
        self._tls = tls
        self._transport = transport
        self._client: AsyncQdrantClient | None = None
        self._key: str | None = None

    async def get(self, key: str | None) -> "AsyncQdrantClient":
        """Return the client; a new one where the key has changed.

        `metadata` carries the key because `api_key` warns on plain HTTP; `port=None` keeps the URL as it is.
        """
        if self._client is None or key != self._key:
            await self.close()
            from qdrant_client import AsyncQdrantClient  # noqa: PLC0415 - see above

            self._key = key
            self._client = AsyncQdrantClient(
                url=self._url,
                port=None,
                prefer_grpc=False,
                check_compatibility=False,
                timeout=60,
                metadata={} if key is None else {"api-key": key},
                trust_env=False,
                transport=Bounded(self._transport or http_transport(self._tls, 2), _SEARCH_BYTES),
            )
        return self._client

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()
