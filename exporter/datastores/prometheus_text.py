"""Read samples out of a server's own Prometheus page, fast; types and help texts on it are not used."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from itertools import islice

from exporter.errors import QueryError
from exporter.queries.query import Row

PageSample = tuple[str, dict[str, str], float]

_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*\s*=\s*"[^"\\]*(?:\\.[^"\\]*)*"\s*'
_SAMPLE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)"
    rf"(?:\s*\{{\s*((?:{_LABEL},\s*)*(?:{_LABEL})?)\}}\s*|\s+)"
    r"(\S+)(?:\s|$)"
)
_NAME_AND_VALUE = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"([^"\\]*(?:\\.[^"\\]*)*)"')
_MOST_LINES = 100_000  # more than 8 MiB of real ones
_LONGEST_LINE = 16 * 1024  # bytes
_MOST_LABELS = 64
_MOST_SAMPLES = 50_000
_ESCAPE = re.compile(r'\\([\\n"])')


def parse(body: bytes, prefixes: tuple[str | bytes, ...]) -> Iterator[PageSample]:
    """Yield (name, labels, value) of every sample whose name starts with one of the prefixes, in page order.

    The filter works on undecoded lines, because most of a page of thousands of series is not wanted.
    A line that is no sample is left out: one odd line must not cost the page. Timestamps and exemplars are
    ignored. Raises QueryError for a page of more lines, or with more samples, than any server writes.
    """
    check_lines(body)
    wanted = tuple(prefix.encode() if isinstance(prefix, str) else prefix for prefix in prefixes)
    found = (_sample(line) for line in body.split(b"\n") if line.startswith(wanted))
    samples = (sample for sample in found if sample)
    yield from islice(samples, _MOST_SAMPLES)
    if next(samples, None):
        raise QueryError("limit", f"the metrics page has more than {_MOST_SAMPLES} samples of one kind")


def check_lines(body: bytes) -> None:
    """Raise QueryError for a page of more lines than any server writes."""
    if body.count(b"\n") > _MOST_LINES:
        raise QueryError("limit", f"the metrics page has more than {_MOST_LINES} lines")


def _sample(line: bytes) -> PageSample | None:
    match = _SAMPLE.match(line.decode("utf-8", "replace")) if len(line) <= _LONGEST_LINE else None
    if match is None:
        return None
    name, labels, value = match.groups()
    try:
        number = float(value)  # knows +Inf, -Inf and NaN as Prometheus writes them
    except ValueError:
        return None
    found = _labels(labels) if labels else {}
    return (name, found, number) if len(found) <= _MOST_LABELS else None


def _labels(text: str) -> dict[str, str]:
    pairs = _NAME_AND_VALUE.findall(text)
    if "\\" not in text:
        return dict(pairs)
    return {name: _ESCAPE.sub(_unescape, value) for name, value in pairs}


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]


class NativePage:
    """A server's own metrics page; only the families that are read are parsed.

    most: samples of one family; more raise QueryError.
    landmark: a name on every page of this server; where the configuration of the server puts a prefix before all
    names, it is found there.
    """

    def __init__(self, body: bytes, most: int = _MOST_SAMPLES, landmark: str = "") -> None:
        self._body = b"\n" + body + b"\n"
        self._most = most
        self._landmark = landmark

    @property
    def size(self) -> int:
        return len(self._body)

    def has(self, start: str) -> bool:
        """Return whether a line of the page starts like this."""
        return b"\n" + start.encode() in self._body

    def samples(self, family: str) -> list[PageSample]:
        name = self._prefix + family
        found = list(islice(self._lines(name.encode()), self._most + 1))
        if len(found) > self._most:
            raise QueryError("limit", f"the metrics page has more than {self._most} samples of {family}")
        return [(family, labels, value) for _, labels, value in parse(b"\n".join(found), (name,))]

    def value(self, family: str) -> float | None:
        """Return the value of a family that has one sample, whatever its labels are."""
        return next((value for _, _, value in self.samples(family)), None)

    def rows(self, columns: Mapping[str, str], labels: Mapping[str, str], zero: Collection[str] = ()) -> list[Row]:
        """Return one row a set of labels with a column for each family, samples that differ in other labels added up.

        columns: column to family. labels: our label to the server's. A family that lacks the set of labels is None
        there, or 0 where its column is in `zero`: a server may leave out a counter until it counts for the first time.
        """
        rows: dict[tuple[str, ...], dict[str, object]] = {}
        blank = {name: 0.0 if name in zero else None for name in columns}
        for column, family in columns.items():
            sums: dict[tuple[str, ...], float] = defaultdict(float)
            for _, found, value in self.samples(family):
                sums[tuple(found.get(native, "") for native in labels.values())] += value
            for key, value in sums.items():
                rows.setdefault(key, {**dict(zip(labels, key, strict=True)), **blank})[column] = value
        return list(rows.values())

    @cached_property
    def _prefix(self) -> str:
        found = re.search(rf"\n([a-zA-Z0-9_:]*?){self._landmark}[{{ ]".encode(), self._body) if self._landmark else None
        return found[1].decode() if found else ""

    def _lines(self, name: bytes) -> Iterator[bytes]:
        start, sought = -1, b"\n" + name
        while (start := self._body.find(sought, start + 1)) >= 0:
            if self._body[start + len(sought)] in b"{ \t":  # not of a family with a longer name
                yield self._body[start + 1 : self._body.index(b"\n", start + 1)]
