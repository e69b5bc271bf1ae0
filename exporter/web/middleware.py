"""The middleware in front of all endpoints: request limits, authentication and response headers."""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.config.web_config import RateLimit
from exporter.config.web_config_file import WebFile
from exporter.service import Service
from exporter.web.auth import Authenticator, TooManyPending
from exporter.web.protocol import origin

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_PROBES = ("/livez", "/startupz", "/readyz", "/health")
MAX_CONCURRENT = 40  # requests that are no probes: as many as node_exporter accepts
_MAX_CONCURRENT_PER_CLIENT = 30  # clients that read slowly leave room for others
_MAX_CLIENTS = 1024  # that the rate limiter knows; a forgotten client starts with all tokens
_BODY_END_SECONDS = 1.0
_SLICE = 256 * 1024

RawHeaders = Mapping[bytes, bytes]


def is_authenticated(request: Request) -> bool:
    """Return whether a response may show details: the client has authenticated, or need not."""
    return bool(request.scope["authenticated"])


def error_response(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response whose text is the phrase of its status, and nothing else."""
    return PlainTextResponse(f"{HTTPStatus(status).phrase.lower()}\n", status, headers)


class AccessMiddleware:
    """Reject requests with a body, too many requests, and requests without authentication.

    Probes pass the rate limit and need no authentication, since an overload must not look like a failure; to clients
    that have not authenticated they show the status alone.
    """

    def __init__(self, app: ASGIApp, service: Service, web_file: WebFile) -> None:
        self._app = app
        self._web_file = web_file
        self._authenticator = Authenticator(lambda: service.config.web, web_file)
        self._rate_limiter = RateLimiter()
        self._active: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, path, client = dict(scope["headers"]), scope["path"], origin(scope.get("client"))
        send = _with_headers(send, self._web_file.config.http_server_config.headers)
        if headers.get(b"content-length", b"0") != b"0" or (
            b"transfer-encoding" in headers and not await _has_empty_body(receive)
        ):
            await error_response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"Connection": "close"})(scope, receive, send)
        elif path in _PROBES or path.startswith("/health/"):
            scope["authenticated"] = await self._authenticate(headers, client) or False
            await self._app(scope, receive, send)
        elif rejection := await self._rejection(headers, client):
            await rejection(scope, receive, send)
        else:
            scope["authenticated"] = True
            self._active[client] += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._active[client] -= 1
                self._active += Counter()  # drops clients without active requests

    async def _rejection(self, headers: RawHeaders, client: str) -> Response | None:
        if not self._rate_limiter.allow(self._web_file.config.rate_limit, client):
            return error_response(HTTPStatus.TOO_MANY_REQUESTS)
        authenticated = await self._authenticate(headers, client)
        busy = self._active.total() >= MAX_CONCURRENT or self._active[client] >= _MAX_CONCURRENT_PER_CLIENT
        if authenticated is None or busy:
            return error_response(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "1"})
        return None if authenticated else self._unauthorized()

    async def _authenticate(self, headers: RawHeaders, client: str) -> bool | None:
        """Return whether the client is authenticated; None if too many passwords wait for a check."""
        try:
            return await self._authenticator.authenticate(headers.get(b"authorization", b"").decode("latin-1"), client)
        except TooManyPending:
            return None

    def _unauthorized(self) -> Response:
        response = error_response(HTTPStatus.UNAUTHORIZED)
        for challenge in self._authenticator.challenges():
            response.headers.append("WWW-Authenticate", challenge)
        return response


class RateLimiter:
    """Limit the requests of each client: one in each interval, and a burst after a pause (a token bucket)."""

    def __init__(self) -> None:
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens of each client, and at which time

    def allow(self, limit: RateLimit, client: str) -> bool:
        if not limit.interval:
            return True
        now = time.monotonic()
        spent, at = self._spent.get(client, (0.0, now))
        spent = max(0.0, spent - (now - at) / limit.interval)
        allowed = spent + 1 <= limit.burst
        self._spent[client] = (spent + allowed, now)
        self._spent.move_to_end(client)
        if len(self._spent) > _MAX_CLIENTS:
            self._spent.popitem(last=False)
        return allowed


async def _has_empty_body(receive: Receive) -> bool:
    """Return whether a chunked body is empty; if its end does not arrive in time, it is taken to have content."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_BODY_END_SECONDS):
            message = await receive()
            return not message.get("body") and not message.get("more_body")
    return False


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """Wrap `send`: add the default headers and those of the web file, and pass a large body on in slices.

    For a client that reads slowly the transport then buffers one slice, and the page itself is shared by all clients.
    """

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = {"Date": formatdate(usegmt=True), **_HEADERS, **headers}
            raw = {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in added.items()}
            others = [pair for pair in message["headers"] if pair[0] not in raw]
            await send({**message, "headers": [*others, *raw.items()]})
        elif len(message.get("body", b"")) <= _SLICE:
            await send(message)
        else:
            body = memoryview(message["body"])
            for start in range(0, len(body), _SLICE):
                await send({**message, "body": body[start : start + _SLICE], "more_body": True})
            await send({**message, "body": b""})

    return send_with_headers
