"""Blanks and comments of SQL, as PostgreSQL's scan.l has them, each character looked at once.

A carriage return ends a line, too, no blank is outside of ASCII, and comments nest.
"""

import re

_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_FILLED = re.compile(r"[^ \t\n\r\f\v]")
_LINE_END = re.compile(r"[\n\r]")
_COMMENT_MARK = re.compile(r"/\*|\*/")


def first_word(text: str) -> str:
    """Return the word after all blanks, comments and parentheses, in capitals; an empty text where there is none."""
    at = skipped(text, 0)
    while text.startswith("(", at):
        at = skipped(text, at + 1)
    found = _WORD.match(text, at)
    return found[0].upper() if found else ""


def skipped(text: str, at: int) -> int:
    """Return where, from a place on, the first character stands that is neither blank nor in a comment, or the end."""
    while found := _FILLED.search(text, at):
        at = found.start()
        if text.startswith("--", at):
            end = _LINE_END.search(text, at)
            at = end.end() if end else len(text)
        elif text.startswith("/*", at):
            at = comment_end(text, at)
        else:
            return at
    return len(text)


def comment_end(text: str, at: int) -> int:
    """Return where a comment ends that begins with /* at a place, or where the text does."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)
