"""Request /livez and /metrics of an exporter again and again, and write a line for each response.

A process of its own, `python -m tests.support.scraper PORT FILE`: what else a test does must not cost it time.
"""

import gzip
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

PAUSE = 0.05
PATIENCE = 10.0
_DOWN = re.compile(rb'^datatier_up\{store="[^"]*",target="([^"]*)"\} 0', re.MULTILINE)


class Scrape(NamedTuple):
    """One request; status 0 is no answer. `left` names targets that are down and have series of their store."""

    path: str
    status: int
    seconds: float
    left: str


class Scraper:
    """The requests of a scraping process."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0

    def new_requests(self) -> list[Scrape]:
        """Return the requests since the last call."""
        *lines, _ = self._file.read_text().split("\n")
        new, self._read = lines[self._read :], len(lines)
        return [
            Scrape(path, int(status), float(seconds), left)
            for path, status, seconds, left in (line.split(" ", 3) for line in new)
        ]


@contextmanager
def scraping(port: int, file: Path) -> Iterator[Scraper]:
    file.touch()
    process = Popen([sys.executable, "-m", "tests.support.scraper", str(port), str(file)])
    try:
        yield Scraper(file)
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    port, file = int(sys.argv[1]), Path(sys.argv[2])
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with file.open("a", buffering=1) as lines:
        while True:
            for path in ("/livez", "/metrics"):
                lines.write(" ".join(map(str, _ask(connection, path))) + "\n")
                time.sleep(PAUSE)


def _ask(connection: HTTPConnection, path: str) -> Scrape:
    status, body, began = 0, b"", time.perf_counter()
    try:
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        status, body = answer.status, answer.read()
    except (OSError, HTTPException):
        connection.close()  # the next request opens a new one
    seconds = time.perf_counter() - began
    return Scrape(path, status, seconds, ",".join(_left(gzip.decompress(body))) if path == "/metrics" and body else "")


def _left(page: bytes) -> Iterator[str]:
    for target in _DOWN.findall(page):
        if re.search(rb'^(?!datatier_|\w+_up\{)\w+\{.*target="' + re.escape(target) + b'"', page, re.MULTILINE):
            yield target.decode()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
