"""Pages from templates, under a content security policy that allows nothing but their own style and script."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import Response

from exporter.logs import visible
from exporter.status_page.overview import Moment

if TYPE_CHECKING:  # imported at the first page: a service that is only scraped never loads it
    from jinja2 import Environment


_FOLDER = Path(__file__).parent / "templates"


class ExporterView(NamedTuple):
    """Hold what is shown of the exporter; refused: its last reload was rejected, an older configuration is in use."""

    version: str
    running: str
    configured: Moment
    refused: bool = False


def render(template: str, **values: object) -> Response:
    """Fill a template; every value is escaped."""
    text = _environment().get_template(template).render(values)
    body = text.encode(errors="replace")  # it may hold half a surrogate pair
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
    """Escape characters that are invisible or change the direction of text."""
    return visible(value, "\n\t") if type(value) is str else value


@cache
def _headers() -> dict[str, str]:
    """Allow the page its own style and script, by their hashes, and to fetch itself again; nothing else."""
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
