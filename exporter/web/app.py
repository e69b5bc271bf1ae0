"""The application: routes, error handlers and middleware around one service."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from exporter.config.config import Config
from exporter.config.web_config_file import Loaded, WebFile
from exporter.reload import Load
from exporter.service import Service, system_clock
from exporter.settings import RuntimeConfig
from exporter.state.events import Instant
from exporter.web.health_endpoints import HealthEndpoints
from exporter.web.metrics_endpoints import MetricsEndpoints
from exporter.web.middleware import AccessMiddleware, error_response
from exporter.web.status_endpoints import StatusPageEndpoints

_METHODS = ["GET", "HEAD", "OPTIONS"]

Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(
    settings: RuntimeConfig, load: Load | None = None, clock: Callable[[], Instant] = system_clock
) -> FastAPI:
    """Create the application; its lifespan is that of the service, `app.state.service`.

    `load` reads the settings again for a reload.
    """
    service = Service(settings, load, clock)
    web_file = _web_file(settings.config, service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(
        lifespan=lifespan,
        openapi_url=None,
        exception_handlers={HTTPException: _http_error, Exception: _server_error},
        redirect_slashes=False,  # HAProxy takes a redirect for a healthy response
        routes=_routes(service),
    )
    app.add_middleware(AccessMiddleware, service=service, web_file=web_file)
    app.state.web_file = web_file
    app.state.service = service
    return app


def _routes(service: Service) -> list[BaseRoute]:
    metrics, health, pages = MetricsEndpoints(service), HealthEndpoints(service), StatusPageEndpoints(service)
    endpoints = {
        "/": pages.overview,
        "/targets/{name}": pages.target,
        "/metrics": metrics.metrics,
        "/probe": metrics.metrics,
        "/sd": metrics.discovery,
        "/livez": health.livez,
        "/startupz": health.startupz,
        "/readyz": health.readyz,
        "/health": health.health,
        "/health/groups/{name}": health.group_health,
        "/health/targets/{name}": health.target_health,
        "/findings": metrics.findings,
        "/findings/{name}": metrics.findings,
    }
    return [
        *(Route(path, _with_options(endpoint), methods=_METHODS) for path, endpoint in endpoints.items()),
        Route("/-/reload", _with_options(metrics.reload), methods=["POST"]),
    ]


def _web_file(config: Config, service: Service) -> WebFile:
    def publish_expiry(loaded: Loaded) -> None:
        expiry = {} if loaded.not_after is None else {"datatier_tls_not_after_timestamp_seconds": loaded.not_after}
        service.exposition.set_exporter_metrics(expiry)

    return WebFile(config.web.config_file, publish_expiry)


def _with_options(endpoint: Endpoint) -> Endpoint:
    """Answer OPTIONS, the default check of HAProxy, with the status and Retry-After of the endpoint, without a body."""

    async def answer(request: Request) -> Response:
        response = await endpoint(request)
        if request.method == "OPTIONS":
            kept = {name: value for name, value in response.headers.items() if name == "retry-after"}
            response = Response(None, response.status_code, {"Allow": ", ".join(_METHODS), **kept})
        return response

    return answer


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - the handler is registered for it
    return error_response(error.status_code, error.headers)


async def _server_error(_: Request, __: Exception) -> Response:
    return error_response(500)
