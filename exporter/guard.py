"""What stands before all pages: probes are answered to everybody, all else in measure, and to whom it is meant for."""

from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.access import Access
from exporter.passwords import Busy
from exporter.service import Service
from exporter.throttle import Throttle
from exporter.web_file import WebFile

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_PROBES = ("/livez", "/startupz", "/readyz", "/health")
_AT_ONCE = 40  # answers to all but probes: as many as node_exporter has
_SLICE = 256 * 1024


def trusted(request: Request) -> bool:
    """Tell whether a page may show its details: nobody has to authenticate, or this client did."""
    return bool(request.scope["trusted"])


def refusal(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Say no more than the status does."""
    return PlainTextResponse(f"{HTTPStatus(status).phrase.lower()}\n", status, headers)


class Guard:
    """Refuse a request, or let it through; every answer gets its headers."""

    def __init__(self, app: ASGIApp, service: Service, web_file: WebFile) -> None:
        self._app = app
        self._web_file = web_file
        self._access = Access(lambda: service.config.web, web_file)
        self._throttle = Throttle()
        self._answering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, send = Request(scope), _sliced(_dressed(send, self._web_file.config.http_server_config.headers))
        if _has_body(request):
            await refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"Connection": "close"})(scope, receive, send)
        elif request.url.path in _PROBES or request.url.path.startswith("/health/"):
            scope["trusted"] = await self._trusts(request) or False
            await self._app(scope, receive, send)
        elif refused := await self._refused(request):
            await refused(scope, receive, send)
        else:
            scope["trusted"] = True
            self._answering += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._answering -= 1

    async def _refused(self, request: Request) -> Response | None:
        if not self._throttle.lets_through(self._web_file.config.rate_limit):
            return refusal(HTTPStatus.TOO_MANY_REQUESTS)
        trusts = await self._trusts(request)
        if trusts is None or self._answering >= _AT_ONCE:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "1"})
        return None if trusts else self._unauthorized()

    async def _trusts(self, request: Request) -> bool | None:
        """Judge a client; None says that there was no time to."""
        try:
            return await self._access.trusts(request.headers.get("authorization", ""))
        except Busy:
            return None

    def _unauthorized(self) -> Response:
        answer = refusal(HTTPStatus.UNAUTHORIZED)
        for challenge in self._access.challenges():
            answer.headers.append("WWW-Authenticate", challenge)
        return answer


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _dressed(send: Send, headers: Mapping[str, str]) -> Send:
    """Give every answer what it needs and the web file wants."""

    async def dress(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = MutableHeaders(scope=message)
            for name, value in {"Date": formatdate(usegmt=True), **_HEADERS, **headers}.items():
                present[name] = value
        await send(message)

    return dress


def _sliced(send: Send) -> Send:
    """Hand over a large body as the client takes it: one that is slow holds a slice, and the page that all share."""

    async def slice_body(message: Message) -> None:
        body = memoryview(message.get("body", b""))
        if len(body) <= _SLICE:
            await send(message)
            return
        for start in range(0, len(body), _SLICE):
            await send({"type": message["type"], "body": body[start : start + _SLICE], "more_body": True})
        await send({"type": message["type"], "body": b"", "more_body": message.get("more_body", False)})

    return slice_body
