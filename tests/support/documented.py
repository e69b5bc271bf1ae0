"""The pieces of a page of docs, for tests to run: what is shown must work."""

import re

from tests.support.paths import DOCS


def pieces(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a language, in the page's order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
