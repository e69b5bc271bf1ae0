"""The first word of an SQL statement, and where comments end, found in one pass over the text."""

import re

# As PostgreSQL's scan.l has it: a carriage return ends a line, too, no blank is outside of ASCII, and comments nest.
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_FILLED = re.compile(r"[^ \t\n\r\f\v(]")
_LINE_END = re.compile(r"[\n\r]")
_COMMENT_MARK = re.compile(r"/\*|\*/")


def first_word(text: str) -> str:
    """Return the word after all blanks, parentheses and comments, in capitals; an empty text where there is none."""
    found = _WORD.match(text, _beginning(text))
    return found[0].upper() if found else ""


def comment_end(text: str, at: int) -> int:
    """Return where a comment ends that begins with /* at a place, or where the text does."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def _beginning(text: str) -> int:
    at = 0
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
