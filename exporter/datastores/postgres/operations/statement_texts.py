"""The texts of the statements that have series: shown where the target enables them, and never as a label."""

import re
from collections.abc import Iterator, Mapping, Sequence

from exporter.datastores.postgres.operations.slow_statements import SlowStatements
from exporter.datastores.postgres.operations.statement_entries import ENTRIES, statements_extension
from exporter.datastores.postgres.operations.statements import TopStatements
from exporter.datastores.postgres.session import OperationSession
from exporter.datastores.postgres.sql_text import comment_end
from exporter.queries.operation import Operation, Params, States
from exporter.queries.query import Row

_LOST = "(the server has lost it)"  # its file of texts was not readable


class Texts:
    """The texts known already: to return one, the server reads all of them from a file."""

    def __init__(self) -> None:
        self.by_queryid: Mapping[int, str] = {}


async def _statement_texts(session: OperationSession, _params: Params, texts: Texts) -> Sequence[Row]:
    """Return a row a statement, "queryid: text"; the slow ones first."""
    members = _members(session.states)
    known = texts.by_queryid
    if not known.keys() >= set(members):
        known = {**known, **await _read(session, [queryid for queryid in members if queryid not in known])}
    texts.by_queryid = {queryid: known[queryid] for queryid in members if queryid in known}
    return [{"text": f"{queryid}: {text}"} for queryid, text in texts.by_queryid.items()]


async def _read(session: OperationSession, queryids: Sequence[int]) -> dict[int, str]:
    """Read texts from the server; more of one than may be shown, for comments are cut."""
    function = (await statements_extension(session)).function(ENTRIES)
    rows = await session.rows(
        f"""
        SELECT DISTINCT ON (queryid) queryid, left(query, {20 * LONGEST}) AS text
        FROM {function}(true)
        WHERE queryid = ANY ($1::bigint[])
        """,  # noqa: S608 - the function is named as the server quotes it
        queryids,
    )
    return {row["queryid"]: _LOST if row["text"] is None else shown(row["text"]) for row in rows}


def _members(states: States) -> list[int]:
    """Name the statements that have series of their own."""
    kinds = (SlowStatements, TopStatements)
    found = [state for kind in kinds for state in states.values() if isinstance(state, kind)]
    return list(dict.fromkeys(queryid for state in found for _, _, queryid in state.members()))


STATEMENT_TEXTS = Operation(_statement_texts, state=Texts)


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
    """Return a text on one line, without comments, cut to LONGEST; HELD and its first word where it has constants."""
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
