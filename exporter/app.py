"""The HTTP side: every answer is made from the snapshot, no request ever touches a store."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar
from weakref import WeakKeyDictionary

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exporter.block_response import BlockResponse
from exporter.compression import Deflated, deflate, gzipped
from exporter.config import Config
from exporter.core_metrics import EXPORTER
from exporter.discovery import discovery
from exporter.exposition import Page
from exporter.findings import findings
from exporter.guard import Guard, refusal
from exporter.health_pages import HealthPages
from exporter.html_pages import HtmlPages
from exporter.negotiation import accepts_gzip, choose_format
from exporter.query import Query
from exporter.reloader import Load
from exporter.sample_lines import Format
from exporter.service import Service, instant
from exporter.threads import in_thread
from exporter.web_file import Loaded, WebFile

_METHODS = ["GET", "HEAD", "OPTIONS"]


def create_app(config: Config, queries: Sequence[Query], load: Load | None = None) -> FastAPI:
    """Make the application; its lifespan is the service's. `app.state.service` is the running whole.

    `load` reads the settings again for a reload.
    """
    service = Service(config, queries, load)
    web_file = _web_file(config, service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    pages, health, html = Pages(service), HealthPages(service), HtmlPages(service)
    routes = {
        "/": html.overview,
        "/targets/{name}": html.target,
        "/metrics": pages.metrics,
        "/probe": pages.metrics,
        "/sd": pages.discovery,
        "/livez": health.livez,
        "/startupz": health.startupz,
        "/readyz": health.readyz,
        "/health": health.health,
        "/health/groups/{name}": health.group_health,
        "/health/targets/{name}": health.target_health,
        "/findings": pages.findings,
        "/findings/{name}": pages.findings,
    }
    app = FastAPI(
        lifespan=lifespan,
        openapi_url=None,
        exception_handlers={HTTPException: _refuse, Exception: _fail},
        redirect_slashes=False,  # HAProxy takes a redirect for health
        routes=[
            *(Route(path, _answer(endpoint), methods=_METHODS) for path, endpoint in routes.items()),
            Route("/-/reload", _answer(pages.reload), methods=["POST"]),
        ],
    )
    app.add_middleware(Guard, service=service, web_file=web_file)
    app.state.web_file = web_file
    app.state.service = service
    return app


def _web_file(config: Config, service: Service) -> WebFile:
    def tell_expiry(loaded: Loaded) -> None:
        expiry = {} if loaded.not_after is None else {"datatier_tls_not_after_timestamp_seconds": loaded.not_after}
        service.exposition.tell_own(expiry)

    return WebFile(config.web.config_file, tell_expiry)


_T = TypeVar("_T")
Ready = WeakKeyDictionary[Page, asyncio.Task[_T]]
Endpoint = Callable[[Request], Awaitable[Response]]


def _answer(endpoint: Endpoint) -> Endpoint:
    """Answer OPTIONS, HAProxy's default check, with the status alone, and when to ask again."""

    async def answer(request: Request) -> Response:
        response = await endpoint(request)
        if request.method == "OPTIONS":
            again = {name: value for name, value in response.headers.items() if name == "retry-after"}
            response = Response(None, response.status_code, {"Allow": ", ".join(_METHODS), **again})
        return response

    return answer


class Pages:
    """The endpoints."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._joined: Ready[list[bytes]] = WeakKeyDictionary()
        self._deflated: Ready[Deflated] = WeakKeyDictionary()

    async def metrics(self, request: Request) -> Response:
        """Serve all targets' samples and the exporter's own, or at /probe?target=NAME one's."""
        target = request.query_params.get("target") if request.url.path == "/probe" else None
        known = target in self._service.snapshot.targets or target == EXPORTER
        if request.url.path == "/probe" and not known:
            return _plain("no such target is configured", 404) if target else _plain("say /probe?target=NAME", 400)
        kind, content_type = choose_format(request.headers.get("accept", ""))
        page = self._service.exposition.page(kind, instant(), target)
        own = self._own(kind, page, target)
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if not accepts_gzip(request.headers.get("accept-encoding", "")):
            *blocks, last = await _once(self._joined, page, list)
            return BlockResponse([*blocks, last + own], headers)
        body = gzipped(await _once(self._deflated, page, deflate), own)
        return Response(body, headers={**headers, "Content-Encoding": "gzip"})

    def _own(self, kind: Format, page: Page, target: str | None) -> bytes:
        if target in (None, EXPORTER):
            return self._service.own.page(kind, None if target else page)
        return b"# EOF\n" if kind == "openmetrics" else b""

    async def discovery(self, request: Request) -> Response:
        """Tell Prometheus' http_sd to scrape each target by itself, here, where the client found us."""
        found = discovery(self._service.snapshot.targets.values(), request.url.scheme, request.url.netloc)
        return Response(json.dumps(found, indent=1) + "\n", media_type="application/json")

    async def reload(self, _: Request) -> Response:
        """Read the configuration again, where that is allowed; what is wrong with it is the answer."""
        if not self._service.config.web.reload:
            return _plain("not enabled; the configuration must say web: {reload: true}", 403)
        problems = await self._service.reloader.reload()
        return _plain("\n".join(problems), 500) if problems else _plain("reloaded")

    async def findings(self, request: Request) -> Response:
        """Serve what counts stand for, of all targets or one: the tables without a primary key, by name."""
        snapshot, name = self._service.snapshot, request.path_params.get("name")
        if name is not None and name not in snapshot.targets:
            return _plain("no such target is configured", 404)
        found = {target: findings(snapshot, target, instant()) for target in ([name] if name else snapshot.targets)}
        return Response(json.dumps(found[name] if name else found, indent=1) + "\n", media_type="application/json")


async def _once(ready: Ready[_T], page: Page, make: Callable[[Iterable[bytes]], _T]) -> _T:
    """Make of a page what is to be sent: once, and off the loop, for all who ask for it while it lives."""
    if page not in ready:
        ready[page] = asyncio.create_task(in_thread(make, page.blocks()), name="page")
    return await asyncio.shield(ready[page])


def _plain(text: str, status: int = 200) -> Response:
    return Response(text + "\n", status, media_type="text/plain")


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - that is what it is asked for
    return refusal(error.status_code, error.headers)


async def _fail(_: Request, __: Exception) -> Response:
    return refusal(500)
