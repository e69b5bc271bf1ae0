"""The HTML pages: content security, accessibility and links."""

import re
from base64 import b64encode
from hashlib import sha256

import pytest

from tests.support.app_client import AppClient
from tests.support.html_tree import read_html

PAGES = ["/", "/targets/orders"]


@pytest.mark.parametrize("path", PAGES)
def test_page_loads_nothing_from_elsewhere(app_client: AppClient, path: str) -> None:
    """No image, font, style or script of another host: the page works without the internet."""
    app_client.poll("orders")
    text = app_client.client.get(path).text
    page = read_html(text)

    addresses = [
        value for element in page.inside() for name, value in element.attributes.items() if name in ("href", "src")
    ]
    assert [address for address in addresses if not re.match(r"/(?!/)|data:image/svg", address)] == []
    assert not re.search(r"url\(|@import", text)


@pytest.mark.parametrize("path", PAGES)
def test_policy_allows_only_the_page_itself(app_client: AppClient, path: str) -> None:
    """By the hashes of its style and script: injected code would not run."""
    answer = app_client.client.get(path)
    page = read_html(answer.text)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))

    assert policy["default-src"] == "'none'"
    for tag in ("style", "script"):
        [inside] = page.one(tag).children
        assert isinstance(inside, str)
        assert policy[f"{tag}-src"] == f"'sha256-{b64encode(sha256(inside.encode()).digest()).decode()}'"
    assert {"style", "onclick", "onload"}.isdisjoint(name for element in page.inside() for name in element.attributes)


@pytest.mark.parametrize("path", PAGES)
def test_page_is_accessible(app_client: AppClient, path: str) -> None:
    """It has a language, one heading, landmarks, and column and row headers for screen readers."""
    app_client.poll("orders")
    app_client.fail("invoices")
    page = read_html(app_client.client.get(path).text)

    assert page.attributes["lang"] == "en"
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("header")) == len(page.all("footer")) == 1
    assert {head.attributes.get("scope") for head in page.all("th")} <= {"row", "col"}
    assert all(row.all("th", scope="row") for body in page.all("tbody") for row in body.all("tr"))
    identifiers = [element.attributes["id"] for element in page.inside() if "id" in element.attributes]
    assert len(identifiers) == len(set(identifiers))


def test_pages_link_to_each_other(app_client: AppClient) -> None:
    app_client.poll("orders")
    app_client.fail("invoices")
    links = [link.attributes["href"] for link in read_html(app_client.client.get("/").text).all("a")]

    assert {"/targets/orders", "/targets/invoices"} <= set(links)
    assert [link for link in set(links) if app_client.status(link) == 404] == []
    assert "/" in {
        link.attributes["href"] for link in read_html(app_client.client.get("/targets/orders").text).all("a")
    }


def test_page_shows_a_refused_reload(app_client: AppClient) -> None:
    """All pages show the previous configuration then."""
    assert "reload" not in app_client.client.get("/").text

    app_client.service.self_metrics.note_reload(["a problem"])
    for path in PAGES:
        assert "The last reload was refused" in read_html(app_client.client.get(path).text).text
