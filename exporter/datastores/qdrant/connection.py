"""The one HTTP client of a Qdrant server: typed reasons, and no secret in any message."""

import json
import re
import ssl
from asyncio import Lock
from contextlib import nullcontext
from typing import Any

import httpx

from exporter.datastores.http_client import BODY_BYTES, http_client
from exporter.datastores.json_page import PARSED_BYTES, parse_json
from exporter.datastores.refcount import RefCounted
from exporter.errors import QueryError, Reason

_BACKSTOP_SECONDS = 60.0  # the poller's deadlines come first; this ends what nobody waits for
_ERROR_BYTES = 4096  # of an answer that refuses, which are read for the reason
_ERROR_TEXT_LENGTH = 200
_ADDRESS = re.compile(r"\S*:\d{2,5}\b\S*")
_REASONS: dict[int, Reason] = {
    401: "auth",
    403: "privilege",
    404: "query",
    405: "unsupported",
    408: "timeout",
    413: "limit",
    429: "limit",
    501: "unsupported",
    502: "connect",
    503: "connect",
    504: "timeout",
    507: "limit",
}


class Api:
    """Read pages of one server, at most one of /telemetry and /metrics at a time.

    The server guards these two by one mutex: asked side by side they wait for each other, and twice as many
    requests pile up behind a collection that is stuck.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None, transport: httpx.AsyncBaseTransport | None) -> None:
        self._client = http_client(url, tls, _BACKSTOP_SECONDS, transport)
        self._shared = RefCounted(self._client.aclose)
        self._telemetry_mutex = Lock()
        self._renewing: dict[str, str] = {}
        self.clock_skew: float | None = None  # as the last answer told

    def renew(self) -> None:
        """Leave the connection of the next request after it: whoever comes next shakes hands anew."""
        self._renewing = {"connection": "close"}

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
        """GET a page, or POST a body to it; raise QueryError for every answer but a good one."""
        status, content = await self.exchange(path, body, seconds, most)
        if status != httpx.codes.OK:
            raise refusal(path, status, content)
        return content

    async def json(self, path: str, body: object = None, seconds: float | None = None) -> Any:
        """Read a JSON page and take what Qdrant wraps as `result` out of it."""
        return await result_of(path, await self.read(path, body, seconds))

    async def exchange(
        self, path: str, body: object = None, seconds: float | None = None, most: int = BODY_BYTES
    ) -> tuple[int, bytes]:
        """Return an answer's status and body, whatever it says."""
        guarded = path.startswith(("/telemetry", "/metrics"))
        timeout = _BACKSTOP_SECONDS if seconds is None else seconds
        method = "GET" if body is None else "POST"
        headers, self._renewing = self._renewing, {}
        async with self._shared, self._telemetry_mutex if guarded else nullcontext():
            response = await self._client.request(
                method, path, json=body, timeout=timeout, headers=headers, extensions={"body_bytes": most}
            )
        self.clock_skew = response.extensions["clock_skew"]
        return response.status_code, response.content


async def result_of(path: str, content: bytes, most: int = PARSED_BYTES) -> Any:
    """Parse a JSON page and take what Qdrant wraps as `result` out of it."""
    page = await parse_json(content, _name(path), most)
    return page["result"] if isinstance(page, dict) and "result" in page else page


def reason_of_status(status: int) -> Reason:
    return _REASONS.get(status, "query")


def refusal(path: str, status: int, content: bytes) -> QueryError:
    """Say why an answer is not the page that was asked for."""
    text = _error_text(content)
    if status == httpx.codes.NOT_FOUND and not text:  # a route that is not there; a collection that is not has text
        return QueryError("unsupported", f"the server has no {_name(path)}")
    return QueryError(reason_of_status(status), f"{_name(path)} answered {status} {text}".rstrip())


def _error_text(content: bytes) -> str:
    """Return what the server says, without the addresses of its peers."""
    head = content[:_ERROR_BYTES]
    try:
        text = str(json.loads(head)["status"]["error"])
    except (ValueError, TypeError, KeyError, RecursionError):
        text = head.decode("utf-8", "replace")
    return _ADDRESS.sub("(an address)", text[:_ERROR_TEXT_LENGTH])


def _name(path: str) -> str:
    return path.partition("?")[0]
