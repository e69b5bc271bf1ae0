"""What rows hold beside the numbers of metrics: the texts of labels, statuses of checks, and findings."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import itemgetter

from exporter.errors import QueryError
from exporter.logs import visible
from exporter.queries.health_rule import STATUSES, Status

Labels = tuple[tuple[str, str], ...]
_Rows = Sequence[Mapping[str, object]]

_LONGEST_LABEL = 10_000  # characters
_LONGEST_CHECK = 200  # characters
_MOST_CHECKS = 200


def labels_of(names: Sequence[str], rows: _Rows, extra: Labels) -> list[Labels]:
    """Return each row's labels after the `extra` ones.

    They are made column by column, which for many rows takes a third of the time.
    """
    columns = [zip(repeat(name), _texts(name, rows)) for name in names]
    own = zip(*columns, strict=True) if columns else repeat((), len(rows))
    return [extra + row for row in own] if extra else list(own)


def most_common(labels: Iterable[Labels]) -> str:
    """Show the labels that most rows have, for a message."""
    [(label, _)] = Counter(labels).most_common(1)
    return ", ".join(f"{name}={value!r}" for name, value in label) or "(none: more than one row)"


def statuses_of(column: str, rows: _Rows) -> Iterator[Status]:
    for row in rows:
        value = row.get(column)
        if value not in STATUSES:
            raise QueryError("decode", f"column {column!r} holds {value!r}, not one of {', '.join(STATUSES)}")
        yield value


def checks_of(column: str, rows: _Rows) -> list[str]:
    """Return each row's check, whose name is a text that can be read, and bounded, as there are pages full of them."""
    names = [_check_in(column, row) for row in rows]
    if len(set(names)) > _MOST_CHECKS:
        raise QueryError("limit", f"column {column!r} holds more than {_MOST_CHECKS} checks")
    return names


def findings_of(column: str, rows: _Rows) -> Iterator[str]:
    """Yield the names in a column, whose values are a text, a list of texts, or None."""
    for row in rows:
        if column not in row:
            raise QueryError("decode", f"the rows have no column {column!r} of findings")
        value = row[column]
        names = value if isinstance(value, list | tuple) else [value]
        yield from (str(name) for name in names if name is not None)


def _check_in(column: str, row: Mapping[str, object]) -> str:
    name = row.get(column)
    if not isinstance(name, str) or not name.strip():
        raise QueryError("decode", f"column {column!r} holds {name!r:.99}, not the name of a check")
    if len(shown := visible(name[: _LONGEST_CHECK + 1])) > _LONGEST_CHECK:
        raise QueryError("limit", f"a check of column {column!r} has a name of more than {_LONGEST_CHECK} characters")
    return shown


def _texts(name: str, rows: _Rows) -> list[str]:
    try:
        texts = [value if type(value) is str else _text(value) for value in map(itemgetter(name), rows)]
    except KeyError:
        raise QueryError("decode", f"the rows have no label column {name!r}") from None
    if not "".join(texts).isascii():  # before duplicates are looked for: the page would show both as the same text
        texts = [text.encode(errors="backslashreplace").decode() for text in texts]
    if max(map(len, texts), default=0) > _LONGEST_LABEL:
        raise QueryError("limit", f"a text of column {name!r} is longer than {_LONGEST_LABEL} characters", len(rows))
    return texts


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):  # PostgreSQL's type "char"
        return value.decode(errors="replace")
    return "" if value is None else str(value)
