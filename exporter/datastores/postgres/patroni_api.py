"""Patroni's REST API, of which only what needs no login is read."""

import ssl
from typing import Any

import httpx
from pydantic import HttpUrl

from exporter.datastores.http import http_client
from exporter.query import QueryError, Reason

_SECONDS = 3.0  # Patroni itself waits for a lost etcd, and several pages may be due in one pass
_REASONS: dict[int, Reason] = {401: "auth", 403: "privilege", 404: "unsupported"}


class PatroniApi:
    def __init__(
        self, url: HttpUrl, tls: ssl.SSLContext | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._client = http_client(str(url), tls, _SECONDS, transport)

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str) -> dict[str, Any]:
        """Read one page; raise QueryError for all that can go wrong."""
        try:
            answer = await self._client.get(path)
            answer.raise_for_status()
            body = answer.json()
        except httpx.TimeoutException:
            raise QueryError("timeout", f"Patroni does not answer {path} within {_SECONDS} s") from None
        except httpx.HTTPStatusError:
            reason = _REASONS.get(answer.status_code, "query")
            raise QueryError(reason, f"Patroni answers {answer.status_code} to {path}") from None
        except httpx.HTTPError as error:
            raise QueryError("connect", f"Patroni does not answer {path}: {error!r}") from error
        except ValueError:
            raise QueryError("decode", f"Patroni's answer to {path} is no JSON") from None
        if not isinstance(body, dict):
            raise QueryError("decode", f"Patroni's answer to {path} is no object")
        return body
