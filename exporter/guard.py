"""Who may see what: probes are answered to everybody, all else to those who authenticate, once that is configured."""

import hmac
from collections.abc import Mapping
from email.utils import formatdate

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.service import Service

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_PROBES = ("/livez", "/startupz", "/readyz", "/health")


def trusted(request: Request) -> bool:
    """Tell whether a page may show its details: nobody has to authenticate, or this client did."""
    return bool(request.scope["trusted"])


class Guard:
    """Stand before all pages: refuse, or let through; give every answer its headers."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        scope["trusted"] = self._trusts(request)
        refusal = None if scope["trusted"] or _is_probe(request) else self._unauthorized()
        await (refusal or self._app)(scope, receive, _dressed(send, _HEADERS))

    def _trusts(self, request: Request) -> bool:
        if not self._service.config.web.guarded:
            return True
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self._is_token(credentials.strip())

    def _is_token(self, credentials: str) -> bool:
        token = self._service.config.web.present("token")
        return bool(token) and hmac.compare_digest(str(token).encode(), credentials.encode())

    def _unauthorized(self) -> Response:
        return PlainTextResponse("unauthorized\n", 401, {"WWW-Authenticate": "Bearer"})


def _is_probe(request: Request) -> bool:
    return request.url.path in _PROBES or request.url.path.startswith("/health/")


def _dressed(send: Send, headers: Mapping[str, str]) -> Send:
    async def dress(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = MutableHeaders(scope=message)
            for name, value in {"Date": formatdate(usegmt=True), **headers}.items():
                present[name] = value
        await send(message)

    return dress
