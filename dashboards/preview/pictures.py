"""Build the page that draws a dashboard, serve it, and photograph each dashboard in it."""

import base64
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import urlencode

from testkit.chromium import Chromium
from testkit.npm import installed

HERE = Path(__file__).parent
WIDTH = 1600
_FIRST_HEIGHT = 1200
_SECONDS = 120
# What Grafana's library asks its server for, and where it lies.
_ASKED_FOR = {
    "build": "@grafana/ui/dist/public",
    "fonts/inter/Inter-Regular.woff2": "@fontsource/inter/files/inter-latin-400-normal.woff2",
    "fonts/inter/Inter-Medium.woff2": "@fontsource/inter/files/inter-latin-500-normal.woff2",
}


class Moment(NamedTuple):
    """What the pictures show: a Prometheus, and the seconds since 1970 from where to where."""

    prometheus: str
    begin: float
    end: float


class IncompleteError(Exception):
    """A page was not drawn to its end, or not without complaints."""


def take(stems: list[str], moment: Moment, into: Path) -> None:
    """Write the picture of each page into a folder."""
    into.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="datatier-preview-") as name:
        folder = Path(name)
        build(folder)
        with served(folder) as url, Chromium() as browser:
            for stem in stems:
                (into / f"{stem}.png").write_bytes(photographed(browser, url, stem, moment))


def build(folder: Path) -> None:
    """Put what a browser needs into the folder: the bundle, the icons, the dashboards."""
    modules = installed(HERE) / "node_modules"
    shutil.copytree(HERE / "src", folder / "src")
    for name in ("build.mjs", "index.html", "package.json"):
        shutil.copy2(HERE / name, folder / name)
    shutil.copytree(
        HERE.parent, folder / "pages", ignore=lambda _, names: [n for n in names if not n.endswith(".json")]
    )
    (folder / "node_modules").symlink_to(modules)
    for name, found in _ASKED_FOR.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(modules / found)
    node = str(shutil.which("node"))  # npm is there, and so is this
    subprocess.run([node, "build.mjs"], cwd=folder, check=True, timeout=_SECONDS)  # noqa: S603 - our own script


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a port of its own while in the block."""
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, name="preview").start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing of requests."""


def photographed(browser: Chromium, url: str, stem: str, moment: Moment) -> bytes:
    """Return the picture of one page, whole."""
    shown = {"page": stem, "prometheus": moment.prometheus, "from": moment.begin, "to": moment.end}
    browser.appear(WIDTH, _FIRST_HEIGHT, "dark")
    address = f"{url}/?{urlencode(shown)}"
    browser.open(address)
    _wait(browser, "document.querySelector('main')", stem)
    height = int(browser.evaluate("document.querySelector('main').offsetHeight"))
    browser.appear(WIDTH, height, "dark")  # before it is drawn: a table draws only what is in sight
    browser.open(address)
    _wait(browser, "document.body.dataset.done", stem)
    if complaints := browser.complaints():
        raise IncompleteError(f"{stem}: {complaints}")
    small = browser.evaluate(f"smaller('{base64.b64encode(browser.picture()).decode()}')")
    return base64.b64decode(small)


def _wait(browser: Chromium, expression: str, stem: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not browser.evaluate(f"Boolean({expression})"):
        if time.monotonic() > deadline:
            raise IncompleteError(f"{stem} was not drawn after {_SECONDS} s: {browser.complaints()}")
        time.sleep(0.2)
