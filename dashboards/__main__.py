"""Write every page's JSON beside these modules."""

from pathlib import Path

from dashboards.kit import render
from dashboards.pages import PAGES

FOLDER = Path(__file__).parent

if __name__ == "__main__":
    for page in PAGES:
        (FOLDER / f"{page.stem}.json").write_text(render(page), encoding="utf-8")
