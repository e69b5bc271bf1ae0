"""The endpoints of the status page."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from exporter import __version__
from exporter.datastores.off_loop import in_thread
from exporter.health.rendered import RenderedHealth
from exporter.health.report import HealthReport
from exporter.service import Service
from exporter.state.events import Instant
from exporter.status_page.overview import moment_of, overview, refresh_seconds
from exporter.status_page.rendering import ExporterView, render
from exporter.status_page.target import target_page
from exporter.units import span
from exporter.web.responses import plain_response

_BATCH = 10  # targets between two turns of the event loop


class StatusPageEndpoints:
    """Render HTML from the snapshot."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._began = service.now()

    async def overview(self, _: Request) -> Response:
        """Show all targets; in batches and a thread, since a thousand targets would block the loop for 300 ms."""
        now, snapshot = self._service.now(), self._service.snapshot
        refresh = refresh_seconds(snapshot.targets.values())
        report = HealthReport(snapshot, await self._parts(now), now)
        return await in_thread(
            lambda: render("overview.html", page=overview(report.body(), refresh, now), exporter=self._exporter(now))
        )

    async def target(self, request: Request) -> Response:
        now, snapshot, name = self._service.now(), self._service.snapshot, request.path_params["name"]
        if name not in snapshot.targets:
            return plain_response("no such target is configured", 404)
        page = target_page(snapshot, name, now)
        return await in_thread(render, "target.html", page=page, exporter=self._exporter(now))

    async def _parts(self, now: Instant) -> list[RenderedHealth]:
        parts, snapshot = [], self._service.snapshot
        for number, name in enumerate([*snapshot.targets]):
            if number % _BATCH == 0:
                await asyncio.sleep(0)
            if name in snapshot.targets:  # a reload may have removed it since
                parts.append(self._service.health.refresh(name, now))
        return parts

    def _exporter(self, now: Instant) -> ExporterView:
        own = self._service.self_metrics
        running = span(now.monotonic - self._began.monotonic)
        return ExporterView(__version__, running, moment_of(own.reloaded_at, now), refused=not own.reloaded)
