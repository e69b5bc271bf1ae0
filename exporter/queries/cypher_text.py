"""Find Cypher that does more than read: a session opened for reading refuses writes, and runs much else."""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

# Whatever is not closed lasts to the text's end, so each character is looked at once.
_TOKEN = re.compile(
    r"""
    (?P<comment> //[^\n\r]* | /\*(?:.*?\*/|.*) )
    | (?P<text> '(?:[^'\\]|\\.)*(?:'|\\?\Z) | "(?:[^"\\]|\\.)*(?:"|\\?\Z) )
    | `(?P<quoted>[^`]*(?:``[^`]*)*)(?:`|\Z)
    | (?P<word> \w+ )
    | (?P<mark> \S )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\u+([0-9a-fA-F]{4})")  # the server replaces them before anything else, in comments as well

_CHANGES = frozenset({
    "ALTER", "CREATE", "DEALLOCATE", "DELETE", "DENY", "DETACH", "DROP", "DRYRUN", "ENABLE", "FOREACH", "GRANT",
    "INSERT", "MERGE", "REALLOCATE", "REMOVE", "RENAME", "REVOKE", "SET", "START", "STOP",
})  # fmt: skip
# The procedures of the server and of APOC that only read; the others are too many to list.
_READING = (
    "db.constraints", "db.index.fulltext.listavailableanalyzers", "db.index.fulltext.query*", "db.index.vector.query*",
    "db.indexdetails", "db.indexes", "db.info", "db.labels", "db.ping", "db.propertykeys", "db.relationshiptypes",
    "db.schema.*", "db.schemastatements", "db.stats.retrieve*", "db.stats.status",
    "dbms.cluster.overview", "dbms.cluster.protocols", "dbms.cluster.role", "dbms.cluster.routing.getroutingtable",
    "dbms.components", "dbms.database.state", "dbms.functions", "dbms.info", "dbms.list*", "dbms.procedures",
    "dbms.queryjmx", "dbms.routing.getroutingtable", "dbms.showcurrentuser", "tx.getmetadata",
    *(f"apoc.{name}.*" for name in (
        "agg", "any", "bitwise", "coll", "convert", "data", "date", "diff", "hashing", "json", "label", "map", "math",
        "meta", "monitor", "node", "nodes", "number", "rel", "schema", "scoring", "stats", "temporal", "text", "util",
    )),
    "apoc.help", "apoc.version",
)  # fmt: skip
_OWN = ("apoc", "db", "dbms", "tx")


class _Token(NamedTuple):
    """A word or another character; `plain` is empty for one in quotes, which begins no clause."""

    name: str
    plain: str


def forbidden(text: str) -> str | None:
    """Name what in a statement does more than read; None where nothing does."""
    for read in dict.fromkeys((text, _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text))):
        for found in _forbidden(list(_tokens(read))):
            return found
    return None


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        if match["quoted"] is not None:
            yield _Token(match["quoted"], "")
        elif match["text"]:
            yield _Token("", "")
        elif not match["comment"]:
            yield _Token(match[0], match[0].upper())


def _forbidden(tokens: Sequence[_Token]) -> Iterator[str]:
    first = _first_clause(tokens)
    if first in _CHANGES:
        yield first
    for at, token in enumerate(tokens):
        before, after = (tokens[place].plain if 0 <= place < len(tokens) else "" for place in (at - 1, at + 1))
        if token.plain == "TERMINATE" and after in ("TRANSACTION", "TRANSACTIONS"):
            yield "TERMINATE TRANSACTIONS"
        elif token.plain == "LOAD" and after == "CSV":
            yield "LOAD CSV"
        elif token.plain == "TRANSACTIONS" and (
            before == "CONCURRENT" or (before == "IN" and at > 1 and tokens[at - 2].plain == "}")
        ):
            yield "CALL {…} IN TRANSACTIONS"
        elif token.name and before != "." and after == ".":
            name, end = _dotted(tokens, at)
            if before == "CALL" or (end < len(tokens) and tokens[end].plain == "("):
                yield from _acting(name, called=before == "CALL")


def _first_clause(tokens: Sequence[_Token]) -> str:
    """Return the first word after EXPLAIN, PROFILE, and CYPHER with its version and options."""
    words = iter(range(len(tokens)))
    for at in words:
        word = tokens[at].plain
        following = tokens[at + 1].plain if at + 1 < len(tokens) else ""
        if following == "=":
            next(words), next(words, None)
        elif word not in ("CYPHER", "EXPLAIN", "PROFILE", ".") and not word.isdigit():
            return word
    return ""


def _dotted(tokens: Sequence[_Token], at: int) -> tuple[str, int]:
    """Return a name of several parts, and where it ends."""
    parts = [tokens[at].name]
    while at + 2 < len(tokens) and tokens[at + 1].plain == "." and tokens[at + 2].name:
        at += 2
        parts.append(tokens[at].name)
    return ".".join(parts), at + 1


def _acting(name: str, *, called: bool) -> Iterator[str]:
    """Name a procedure, or a function of APOC, that does more than read."""
    known = name.lower()
    own = _OWN if called else ("apoc",)
    if known.partition(".")[0] in own and not any(fnmatchcase(known, glob) for glob in _READING):
        yield name
