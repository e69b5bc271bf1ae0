"""The first word of a statement, found in one pass over its text."""

import re
from typing import NamedTuple

_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_COMMENT_MARK = re.compile(r"/\*|\*/")
_COMMENT_END = re.compile(r"\*/")


class Syntax(NamedTuple):
    """Say what a language has before its first word.

    filled: matches one character that is no blank.
    comment: what begins a comment that lasts to the end of its line.
    line_end: matches what ends that comment.
    nested: whether a comment /* */ may hold others.
    """

    filled: re.Pattern[str]
    comment: str
    line_end: re.Pattern[str]
    nested: bool


# As PostgreSQL's scan.l has it: a carriage return ends a line, too, and no blank is outside of ASCII.
POSTGRES = Syntax(re.compile(r"[^ \t\n\r\f\v(]"), "--", re.compile(r"[\n\r]"), nested=True)


def first_word(text: str, syntax: Syntax) -> str:
    """Return the word after all blanks and comments, in capitals; an empty text where there is none."""
    found = _WORD.match(text, beginning(text, syntax))
    return found[0].upper() if found else ""


def beginning(text: str, syntax: Syntax) -> int:
    """Return where the first character stands that is neither blank nor in a comment; the text's end without one."""
    at = 0
    while found := syntax.filled.search(text, at):
        at = found.start()
        if text.startswith(syntax.comment, at):
            end = syntax.line_end.search(text, at)
            at = end.end() if end else len(text)
        elif text.startswith("/*", at):
            at = _nested_end(text, at) if syntax.nested else _end(text, at)
        else:
            return at
    return len(text)


def _end(text: str, at: int) -> int:
    end = _COMMENT_END.search(text, at + 2)
    return end.end() if end else len(text)


def _nested_end(text: str, at: int) -> int:
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)
