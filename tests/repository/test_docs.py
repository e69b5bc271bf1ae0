"""The pages of docs lead where they say."""

import re
import tomllib
from pathlib import Path

from exporter.state.target_status import State, TargetStatus, next_status
from tests.support.paths import DOCS, ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


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


def test_paths_of_the_repository_exist() -> None:
    """Each file or folder that a page names between backticks is there; `<…>` and `*` stand for any name."""
    named = {
        (page.name, path)
        for page in PAGES
        for path in re.findall(
            r"`((?:exporter|queries|tests|alerts|dashboards|deploy|bench|testkit|docs)/[\w./<>*-]*)`",
            page.read_text(encoding="utf-8"),
        )
    }
    lost = [(page, path) for page, path in named if not any(ROOT.glob(re.sub(r"<[^>]*>", "*", path).rstrip("/")))]

    assert len(named) > 50
    assert lost == []


def test_the_damping_table_is_what_the_code_does() -> None:
    """Each row of the table holds the damped state, what the previous poll observed, and what three polls lead to."""
    seen: tuple[State, ...] = ("ok", "degraded", "down")
    text = (DOCS / "explanation/architecture.md").read_text(encoding="utf-8")
    rows = [row.split(" | ") for row in re.findall(r"^\| ((?:ok|degraded|down) \| .*) \|$", text, re.MULTILINE)]

    expected = [
        [
            damped,
            previous,
            *(next_status(TargetStatus(damped=damped, observed=previous), now, 0.0).damped for now in seen),
        ]
        for damped in seen
        for previous in seen
    ]

    assert rows == expected


def test_the_layers_are_those_of_the_contract() -> None:
    """The picture of the packages is the contract that import-linter enforces."""
    [contract, *_] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

    assert "\n".join(contract["layers"]) in (DOCS / "explanation/architecture.md").read_text(encoding="utf-8")
