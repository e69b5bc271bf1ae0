"""Read the samples we want out of a server's own Prometheus page, fast; types and help are ours to write."""

import re
from collections.abc import Iterator
from itertools import islice

from exporter.errors import QueryError

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

    The filter works on undecoded lines, because most of a page of thousands of series is what nobody asked for.
    A line that is no sample is left out: one odd line must not cost the page. Timestamps and exemplars are
    ignored. Raises QueryError for a page, or an answer, of more lines than any server has.
    """
    wanted = tuple(prefix.encode() if isinstance(prefix, str) else prefix for prefix in prefixes)
    found = (_sample(line) for line in lines(body) if line.startswith(wanted))
    samples = (sample for sample in found if sample)
    yield from islice(samples, _MOST_SAMPLES)
    if next(samples, None):
        raise QueryError("limit", f"the metrics page has more than {_MOST_SAMPLES} samples of one kind")


def lines(body: bytes) -> list[bytes]:
    """Return a page's lines; raise QueryError where there are more than any server writes."""
    if body.count(b"\n") > _MOST_LINES:
        raise QueryError("limit", f"the metrics page has more than {_MOST_LINES} lines")
    return body.split(b"\n")


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
