"""Patroni's REST API, of which only what needs no login is read."""

import ssl
from typing import Any

import httpx
from pydantic import HttpUrl

from exporter.datastores.http_client import http_client, http_reason
from exporter.datastores.json_text import parse_json
from exporter.errors import QueryError, Reason

_SECONDS = 3.0  # Patroni itself waits for a lost etcd, and several pages may be due in one pass
_BODY_BYTES = 2**20  # the history of a cluster has some 100 bytes an entry, and is the longest page
_REASONS: dict[int, Reason] = {401: "auth", 403: "privilege", 404: "unsupported"}


class PatroniApi:
    def __init__(
        self, url: HttpUrl, tls: ssl.SSLContext | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._client = http_client(str(url), tls, _SECONDS, transport, _BODY_BYTES)

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str) -> dict[str, Any]:
        """Read one page; raise QueryError for all that can go wrong."""
        try:
            answer = await self._client.get(path)
        except (QueryError, httpx.HTTPError) as error:
            reason = http_reason(error) or "connect"
            raise QueryError(reason, f"Patroni does not answer {path}: {error or type(error).__name__}") from error
        if answer.status_code != httpx.codes.OK:
            reason = _REASONS.get(answer.status_code, "query")
            raise QueryError(reason, f"Patroni answers {answer.status_code} to {path}")
        body = await parse_json(answer.content, f"Patroni's answer to {path}")
        if not isinstance(body, dict):
            raise QueryError("decode", f"Patroni's answer to {path} is no object")
        return body
