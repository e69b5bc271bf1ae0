"""Take pictures of the dashboards: `python -m dashboards.preview [page ...] [--minutes 10] [--prometheus URL]`."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dashboards.pages import PAGES
from dashboards.preview.pictures import IncompleteError, Moment, take
from testkit import Unavailable
from testkit.prometheus import scraped
from testkit.session import Servers
from tests.support.live_environment import staged

ROOT = Path(__file__).parent.parent.parent
STEMS = [page.stem for page in PAGES]
SCRAPE_SECONDS = 5


def main() -> None:
    options = _options()
    seconds = options.minutes * 60
    source = nullcontext(options.prometheus) if options.prometheus else _watched(seconds)
    try:
        with source as url:
            now = time.time()
            take(options.pages or STEMS, Moment(url, now - seconds, now), options.into)
    except (Unavailable, IncompleteError, pytest.skip.Exception) as problem:
        sys.exit(f"no pictures: {problem}")


@contextmanager
def _watched(seconds: float) -> Iterator[str]:
    """Run all stores under load, the exporter and a Prometheus with our rules, and let so many seconds pass."""
    rules = {path.stem: path.read_text() for path in (ROOT / "alerts" / "rules").glob("*.yaml")}
    with closing(Servers()) as servers, TemporaryDirectory(prefix="datatier-preview-") as folder:
        _say("starting all stores ...")
        with (
            staged(servers, Path(folder)) as stage,
            servers.private_prometheus(scraped(stage.exporter.port), rules=rules, seconds=SCRAPE_SECONDS) as prometheus,
        ):
            _say(f"all are at work; the pictures are taken in {seconds / 60:.0f} minutes")
            time.sleep(seconds)
            yield prometheus.url


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dashboards.preview", description=__doc__)
    parser.add_argument("pages", nargs="*", metavar="page", help=f"of {', '.join(STEMS)}; without any, all")
    parser.add_argument("--minutes", type=float, default=10, help="how much is shown, and waited for (10)")
    parser.add_argument("--prometheus", metavar="URL", help="show what this one knows, instead of starting all stores")
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "images" / "dashboards", metavar="FOLDER")
    options = parser.parse_args()
    if strangers := set(options.pages) - set(STEMS):
        parser.error(f"there is no page {', '.join(sorted(strangers))}, only {', '.join(STEMS)}")
    return options


def _say(line: str) -> None:
    sys.stderr.write(f"preview: {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
