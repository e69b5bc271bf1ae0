"""The pages for people: views put into templates, under a policy that lets in nothing but what these hold."""

import asyncio
import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from exporter import __version__
from exporter.duration import span
from exporter.events import Now
from exporter.health import TargetHealth, compose, target_health
from exporter.service import Service, instant
from exporter.status_page import Moment, moment_of, overview, refresh_seconds
from exporter.target_page import target_page
from exporter.threads import in_thread
from exporter.visible import visible

if TYPE_CHECKING:  # imported at the first page: who only scrapes does not pay for it
    from jinja2 import Environment

_AT_ONCE = 10  # targets
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
        """Show all targets; judged a few at a time, the rest in a thread: a thousand of them take 300 ms."""
        now, snapshot = instant(), self._service.snapshot
        refresh = refresh_seconds(snapshot.targets.values())
        body = compose(snapshot, await self._parts(now), now)
        return await in_thread(
            lambda: render("overview.html", page=overview(body, refresh, now), exporter=self._exporter(now))
        )

    async def target(self, request: Request) -> Response:
        now, snapshot, name = instant(), self._service.snapshot, request.path_params["name"]
        if name not in snapshot.targets:
            return PlainTextResponse("no such target is configured\n", 404)
        page = target_page(snapshot, name, now)
        return await in_thread(render, "target.html", page=page, exporter=self._exporter(now))

    async def _parts(self, now: Now) -> list[TargetHealth]:
        parts, snapshot = [], self._service.snapshot
        for number, name in enumerate([*snapshot.targets]):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            if name in snapshot.targets:  # a reload may have taken it away meanwhile
                parts.append(target_health(snapshot, name, now))
        return parts

    def _exporter(self, now: Now) -> ExporterView:
        own = self._service.own
        running = span(now.monotonic - self._began.monotonic)
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
        finalize=_shown,
    )
    environment.globals.update({name: Markup(_text(name)) for name in ("style", "script")})  # noqa: S704 - our own files
    return environment


def _shown(value: object) -> object:
    """Write out what would change the order of a text's letters, or not be seen at all."""
    return visible(value, "\n\t") if type(value) is str else value


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
