"""The pages for people: views put into templates, under a policy that lets in nothing but what these hold."""

import asyncio
import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from exporter import __version__, wording
from exporter.service import Service, instant
from exporter.snapshot import Now
from exporter.status_page import Moment, Overview, moment_of, overview
from exporter.target_page import TargetPage, target_page

if TYPE_CHECKING:  # imported at the first page: who only scrapes does not pay for it
    from jinja2 import Environment

_FOLDER = Path(__file__).parent / "templates"


class ExporterView(NamedTuple):
    """Show the exporter itself; refused: its last reload was, so that an older configuration is in use."""

    version: str
    running: str
    configured: Moment
    refused: bool = False


class HtmlPages:
    """The endpoints."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._began = instant()

    async def overview(self, _: Request) -> Response:
        return await self._page("overview.html", overview(self._service.snapshot, instant()))

    async def target(self, request: Request) -> Response:
        snapshot, name = self._service.snapshot, request.path_params["name"]
        if name not in snapshot.targets:
            return PlainTextResponse("no such target is configured\n", 404)
        return await self._page("target.html", target_page(snapshot, name, instant()))

    async def _page(self, template: str, page: Overview | TargetPage) -> Response:
        """Fill a template off the loop: of a thousand targets it takes its time, and at first an import."""
        return await asyncio.to_thread(render, template, page=page, exporter=self._exporter(instant()))

    def _exporter(self, now: Now) -> ExporterView:
        own = self._service.own
        running = wording.span(now.monotonic - self._began.monotonic)
        return ExporterView(__version__, running, moment_of(own.reloaded_at, now), refused=not own.reloaded)


def render(template: str, **values: object) -> Response:
    """Fill a template; every value is escaped."""
    body = _environment().get_template(template).render(values).encode(errors="replace")  # half a surrogate, perhaps
    return Response(body, headers=_headers(), media_type="text/html")


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - see above
    from markupsafe import Markup  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals.update({name: Markup(_text(name)) for name in ("style", "script")})  # noqa: S704 - our own files
    return environment


@cache
def _headers() -> dict[str, str]:
    """Allow the page its own style and script, known by their hashes, and to fetch itself again; nothing else."""
    style, script = (
        base64.b64encode(hashlib.sha256(_text(name).encode()).digest()).decode() for name in ("style", "script")
    )
    policy = (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}


@cache
def _text(name: str) -> str:
    return (_FOLDER / {"style": "page.css", "script": "page.js"}[name]).read_text(encoding="utf-8").strip()
