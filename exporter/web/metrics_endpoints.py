"""The endpoints for metrics, findings, service discovery and reload."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from exporter.config.config import EXPORTER
from exporter.datastores.off_loop import in_thread
from exporter.exposition.http_sd import discovery
from exporter.exposition.negotiation import accepts_gzip, choose_format
from exporter.exposition.page import Page
from exporter.exposition.text_format import Format
from exporter.service import Service
from exporter.state.snapshot import findings
from exporter.web.responses import BlocksResponse, deflate, gzipped, plain_response

_T = TypeVar("_T")


class MetricsEndpoints:
    """Serve ready blocks; joining and compressing a page is done once, for all requests until the next poll."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def metrics(self, request: Request) -> Response:
        """Serve the samples of all targets and the exporter, or of one target at /probe?target=NAME."""
        target = request.query_params.get("target") if request.url.path == "/probe" else None
        known = target in self._service.snapshot.targets or target == EXPORTER
        if request.url.path == "/probe" and not known:
            problem = ("no such target is configured", 404) if target else ("say /probe?target=NAME", 400)
            return plain_response(*problem)
        kind, content_type = choose_format(request.headers.get("accept", ""))
        page = self._service.exposition.page(kind, self._service.now(), target)
        own = self._own(kind, page, target)
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if not accepts_gzip(request.headers.get("accept-encoding", "")):
            *blocks, last = await _once(page, list)
            return BlocksResponse([*blocks, last + own], headers)
        body = gzipped(await _once(page, deflate), own)
        return Response(body, headers={**headers, "Content-Encoding": "gzip"})

    def _own(self, kind: Format, page: Page, target: str | None) -> bytes:
        if target in (None, EXPORTER):
            return self._service.self_metrics.page(kind, None if target else page)
        return b"# EOF\n" if kind == "openmetrics" else b""

    async def discovery(self, request: Request) -> Response:
        """Serve http_sd of Prometheus: each target is scraped by itself, at the address of this request."""
        found = discovery(self._service.snapshot.targets.values(), request.url.scheme, request.url.netloc)
        return Response(json.dumps(found, indent=1) + "\n", media_type="application/json")

    async def reload(self, _: Request) -> Response:
        """Read the configuration again, if that is enabled; respond with its problems."""
        if not self._service.config.web.reload:
            return plain_response("not enabled; the configuration must say web: {reload: true}", 403)
        problems = await self._service.reloader.reload()
        return plain_response("\n".join(problems), 500) if problems else plain_response("reloaded")

    async def findings(self, request: Request) -> Response:
        """Serve the names behind counts, such as the tables without a primary key, of all targets or one."""
        snapshot, name = self._service.snapshot, request.path_params.get("name")
        if name is not None and name not in snapshot.targets:
            return plain_response("no such target is configured", 404)
        now, names = self._service.now(), [name] if name else [*snapshot.targets]
        found = {target: findings(snapshot, target, now) for target in names}
        return Response(json.dumps(found[name] if name else found, indent=1) + "\n", media_type="application/json")


async def _once(page: Page, make: Callable[[Iterable[bytes]], _T]) -> _T:
    """Make a response body from a page in a thread, once for all requests for that page."""
    if make not in page.made:
        page.made[make] = asyncio.create_task(in_thread(make, page.blocks()), name="page")
    made: _T = await asyncio.shield(page.made[make])
    return made
