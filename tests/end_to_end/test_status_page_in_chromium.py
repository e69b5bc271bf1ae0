"""The status page as people have it: in a real browser, over real servers."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from testkit import Unavailable
from testkit.chromium import Chromium
from testkit.process import free_port
from testkit.session import Servers
from tests.support.exporter_process import Exporter

pytestmark = pytest.mark.servers("postgres:18")
WAIT = 60  # seconds, and no more
POOR_CONTRAST = """(() => {
  const numbers = colour => colour.match(/[0-9.]+/g).map(Number);
  const light = colour => numbers(colour).slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = element => {
    const colour = getComputedStyle(element).backgroundColor;
    return numbers(colour)[3] === 0 ? behind(element.parentElement) : colour;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), poor = [];
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
    const pair = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
    if ((pair[0] + 0.05) / (pair[1] + 0.05) < 4.5) poor.push(texts.currentNode.data.trim());
  }
  return poor;
})()"""


class Screen(NamedTuple):
    width: int
    height: int
    scheme: str


SCREENS = [Screen(390, 844, "light"), Screen(390, 844, "dark"), Screen(1100, 800, "light"), Screen(1920, 1080, "dark")]


@pytest.fixture(scope="module")
def exporter(servers: Servers) -> Iterator[Exporter]:
    """Watch a PostgreSQL that is well, one that lacks what is expected, and nothing at all."""
    server = servers.postgres()
    nowhere = f"postgresql://monitor@127.0.0.1:{free_port()}/postgres"
    targets = [
        server.target("orders"),
        server.target("audit", expect={"tables": ["app:public.a_table_with_a_name_as_long_as_they_come_these_days"]}),
        server.target("reports", url=nowhere, required=False),
    ]
    with Exporter(targets) as exporter:
        exporter.wait(lambda: exporter.state("audit") == "degraded", "the check of what is expected", WAIT)
        exporter.wait(lambda: exporter.state("reports") == "down", "the dead target to be seen", WAIT)
        yield exporter


@pytest.fixture(scope="module")
def browser(servers: Servers) -> Iterator[Chromium]:
    try:
        with Chromium() as chromium:
            yield chromium
    except Unavailable as reason:
        servers.skip("chromium", str(reason))


@pytest.mark.parametrize("path", ["/", "/targets/audit", "/targets/reports"])
@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: f"{screen.width}-{screen.scheme}")
def test_status_page_is_readable(
    exporter: Exporter, browser: Chromium, screen: Screen, path: str, tmp_path: Path
) -> None:
    """On a phone and on a wall, by day and by night: nothing is cut off or pale, nothing is complained about."""
    browser.appear(*screen)
    browser.open(url(exporter, path))
    (tmp_path / "screen.png").write_bytes(browser.picture())  # pytest keeps those of the last runs

    assert browser.evaluate("document.documentElement.scrollWidth") == screen.width
    assert (
        browser.evaluate("[...document.querySelectorAll('section')].filter(e => e.scrollWidth > e.clientWidth).length")
        == 0
    )
    assert browser.evaluate(POOR_CONTRAST) == []
    assert browser.complaints() == []


def test_light_and_dark_differ(exporter: Exporter, browser: Chromium) -> None:
    colours = []
    for scheme in ("light", "dark"):
        browser.appear(1100, 800, scheme)
        browser.open(url(exporter))
        colours.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))

    assert colours == ["rgb(245, 246, 248)", "rgb(14, 18, 22)"]


def test_each_state_has_a_shape_of_its_own(exporter: Exporter, browser: Chromium) -> None:
    """Who cannot tell red from green sees a cross and a circle."""
    exporter.wait_up("orders")  # one slow answer makes it degraded, as the other one is
    browser.open(url(exporter))
    styles = "[...document.querySelectorAll('main .shape')].map(shape => getComputedStyle(shape))"
    shapes = browser.evaluate(f"{styles}.map(style => style.clipPath + style.borderRadius)")

    assert len(shapes) == len(set(shapes)) == 3


def test_status_page_updates_in_place(exporter: Exporter, browser: Chromium) -> None:
    """Without a reload: what was opened stays open, where one was stays the place."""
    browser.open(url(exporter, "/targets/orders"))
    first = shown_time(browser)
    browser.evaluate("window.same = true")
    browser.evaluate("document.getElementById('absent').open = true")
    browser.evaluate("document.querySelector('a[href=\"/health\"]').focus()")
    wait(lambda: shown_time(browser) > first)

    assert browser.evaluate("window.same") is True
    assert browser.evaluate("document.getElementById('absent').open") is True
    assert browser.evaluate("document.activeElement.getAttribute('href')") == "/health"
    assert browser.complaints() == []


def test_status_page_without_scripts_reloads(exporter: Exporter, browser: Chromium) -> None:
    browser.let_scripts_run(allowed=False)
    try:
        browser.open(url(exporter))
        first = shown_time(browser)
        wait(lambda: shown_time(browser) > first)
    finally:
        browser.let_scripts_run(allowed=True)


def test_old_news_is_never_shown_as_new(servers: Servers, browser: Chromium) -> None:
    """A wall screen says when its exporter is away, and goes on by itself when it is back."""
    with Exporter([servers.postgres().target("orders")]) as exporter:
        exporter.wait_up("orders")
        browser.open(url(exporter))
        exporter.stop()
        wait(lambda: notice(browser) != "")

        assert notice(browser).startswith("No answer from the exporter: this is how it was at ")
        assert browser.evaluate("document.querySelector('h1').textContent") == "orders is fine"
        exporter.start()
        wait(lambda: notice(browser) == "")
    browser.complaints()  # that no server answered


def url(exporter: Exporter, path: str = "/") -> str:
    return f"http://127.0.0.1:{exporter.port}{path}"


def shown_time(browser: Chromium) -> str:
    return str(browser.evaluate("document.querySelector('header time').textContent"))


def notice(browser: Chromium) -> str:
    return str(browser.evaluate("document.querySelector('#stale:not([hidden])')?.textContent ?? ''"))


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.1)
