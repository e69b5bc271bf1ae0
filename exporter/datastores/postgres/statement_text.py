"""What may be shown of a statement's text: pg_stat_statements replaces constants, but not in all texts, nor comments.

A text is as it was sent where it is no query (all others before PostgreSQL 16, later fewer of them), and where its
entry was evicted or reset between parsing and execution. Comments, in which applications write who asks, stay in any.
So comments are cut, a text with a constant in it is not shown, nor is a command whose words may be secrets (SET).
"""

import re
from collections.abc import Iterator

from exporter.sql_text import comment_end

HELD = "(kept back: it is not normalised)"
LONGEST = 500

# As PostgreSQL's scan.l has it, as far as it matters here.
_TOKEN = re.compile(
    r"""
    (?P<blank>[ \t\n\r\f\v]+|--[^\n\r]*)
    |(?P<comment>/\*)
    |(?P<name>"(?:[^"]|"")*")
    |(?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)
    |(?P<parameter>\$[0-9]+)
    |(?P<number>\.?[0-9][A-Za-z0-9_.]*)
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_SHOWN = {
    "SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE", "CALL", "REFRESH", "VACUUM", "ANALYZE",
    "REINDEX", "CLUSTER", "TRUNCATE", "COPY", "LOCK", "CHECKPOINT", "DECLARE", "FETCH", "CLOSE", "EXPLAIN", "BEGIN",
    "START", "COMMIT", "END", "ROLLBACK",
}  # fmt: skip
# No function can have such a name: a number in parentheses behind it is a length.
_SIZED = {
    "BIT", "CHAR", "CHARACTER", "DEC", "DECIMAL", "FLOAT", "INTERVAL", "NCHAR", "NUMERIC", "TIME", "TIMESTAMP",
    "VARCHAR", "VARYING",
}  # fmt: skip
_PLACE = re.compile(r"[0-9]{1,3}")  # of a column, in ORDER BY 2; or a length


def shown(text: str) -> str:
    """Return a text on one line, without comments and cut to LONGEST; HELD, after its first word, where it may tell."""
    kept: list[str] = []
    first = before = ""
    place = False  # whether a number may come that is no constant
    for kind, token in _tokens(text[: 20 * LONGEST]):
        if kind == "blank":
            kept += [" "] if kept and kept[-1] != " " else []
            continue
        word = token.upper()
        first = first or word.strip("(")
        number = kind == "number"
        constant = token in ("'", '"', "$") or (number and not (place and _PLACE.fullmatch(token)))
        if constant or (first and first not in _SHOWN):
            return f"{first} {HELD}" if first.isalpha() else HELD
        place = word == "BY" or (word == "(" and before in _SIZED) or (word == "," and before == "a place")
        before = "a place" if number else word
        kept.append(token)
    return "".join(kept).strip()[:LONGEST]


def _tokens(text: str) -> Iterator[tuple[str | None, str]]:
    """Yield the tokens of the first statement, a comment as a blank; a quote or $ by itself begins a constant."""
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        assert found is not None  # noqa: S101 - any character is a token
        kind, token, position = found.lastgroup, found[0], found.end()
        if found[0] == ";":
            return
        if kind == "comment":
            kind, position = "blank", comment_end(text, found.start())
        yield kind, token
