"""The pages of docs lead where they say."""

import re
from pathlib import Path

from tests.support.paths import DOCS

PAGES = [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    """Each relative link names a file that is there, and a heading in it."""
    assert [f"{page.relative_to(DOCS.parent)}: {link}" for page in PAGES for link in lost(page)] == []


def lost(page: Path) -> list[str]:
    """Name the links of a page that lead nowhere."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    links = [link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    return [
        f"{file}#{anchor}"
        for file, _, anchor in links
        for place in [page.parent / file if file else page]
        if not place.exists() or (anchor and anchor not in anchors(place))
    ]
