"""What stands before all pages: probes are answered to everybody, all else in measure, and to whom it is meant for."""

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
_AT_ONCE = 40  # answers to all but probes: as many as node_exporter has
_AT_ONCE_EACH = 30  # of one client: who reads slowly leaves room for others
_END_SECONDS = 1.0
_SLICE = 256 * 1024

RawHeaders = Mapping[bytes, bytes]


def is_authenticated(request: Request) -> bool:
    """Tell whether a page may show its details: nobody has to authenticate, or this client did."""
    return bool(request.scope["trusted"])


def error_response(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Say no more than the status does."""
    return PlainTextResponse(f"{HTTPStatus(status).phrase.lower()}\n", status, headers)


class AccessMiddleware:
    """Refuse a request, or let it through; every answer gets its headers."""

    def __init__(self, app: ASGIApp, service: Service, web_file: WebFile) -> None:
        self._app = app
        self._web_file = web_file
        self._authenticator = Authenticator(lambda: service.config.web, web_file)
        self._rate_limiter = RateLimiter()
        self._answering: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, path, client = dict(scope["headers"]), scope["path"], origin(scope)
        send = _outfitted(send, self._web_file.config.http_server_config.headers)
        if headers.get(b"content-length", b"0") != b"0" or (
            b"transfer-encoding" in headers and not await _is_empty(receive)
        ):
            await error_response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"Connection": "close"})(scope, receive, send)
        elif path in _PROBES or path.startswith("/health/"):
            scope["trusted"] = await self._trusts(headers, client) or False
            await self._app(scope, receive, send)
        elif refused := await self._refused(headers, client):
            await refused(scope, receive, send)
        else:
            scope["trusted"] = True
            self._answering[client] += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._answering[client] -= 1
                self._answering += Counter()  # without those who have none left

    async def _refused(self, headers: RawHeaders, client: str) -> Response | None:
        if not self._rate_limiter.allow(self._web_file.config.rate_limit, client):
            return error_response(HTTPStatus.TOO_MANY_REQUESTS)
        trusts = await self._trusts(headers, client)
        busy = self._answering.total() >= _AT_ONCE or self._answering[client] >= _AT_ONCE_EACH
        if trusts is None or busy:
            return error_response(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "1"})
        return None if trusts else self._unauthorized()

    async def _trusts(self, headers: RawHeaders, client: str) -> bool | None:
        """Judge a client; None says that there was no time to."""
        try:
            return await self._authenticator.authenticate(headers.get(b"authorization", b"").decode("latin-1"), client)
        except TooManyPending:
            return None

    def _unauthorized(self) -> Response:
        answer = error_response(HTTPStatus.UNAUTHORIZED)
        for challenge in self._authenticator.challenges():
            answer.headers.append("WWW-Authenticate", challenge)
        return answer


async def _is_empty(receive: Receive) -> bool:
    """Tell whether a body in chunks has none; one whose end is not there with its beginning is taken to have some."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            message = await receive()
            return not message.get("body") and not message.get("more_body")
    return False


def _outfitted(send: Send, headers: Mapping[str, str]) -> Send:
    """Give every answer what it needs and the web file wants; hand over a large body as the client takes it.

    A client that is slow then holds a slice, and the page that all share.
    """

    async def outfit(message: Message) -> None:
        if message["type"] == "http.response.start":
            ours = {"Date": formatdate(usegmt=True), **_HEADERS, **headers}
            raw = {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in ours.items()}
            theirs = [pair for pair in message["headers"] if pair[0] not in raw]
            await send({**message, "headers": [*theirs, *raw.items()]})
        elif len(message.get("body", b"")) <= _SLICE:
            await send(message)
        else:
            body = memoryview(message["body"])
            for start in range(0, len(body), _SLICE):
                await send({**message, "body": body[start : start + _SLICE], "more_body": True})
            await send({**message, "body": b""})

    return outfit


_REMEMBERED = 1024  # clients; who is forgotten starts with a full bucket


class RateLimiter:
    """Let a request of a client through each interval, and a burst of them after a rest."""

    def __init__(self) -> None:
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()  # and when

    def allow(self, limit: RateLimit, client: str) -> bool:
        if not limit.interval:
            return True
        now = time.monotonic()
        spent, at = self._spent.get(client, (0.0, now))
        spent = max(0.0, spent - (now - at) / limit.interval)
        through = spent + 1 <= limit.burst
        self._spent[client] = (spent + through, now)
        self._spent.move_to_end(client)
        if len(self._spent) > _REMEMBERED:
            self._spent.popitem(last=False)
        return through
