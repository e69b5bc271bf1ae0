"""Read the samples we want out of a server's own Prometheus page, fast; types and help are ours to write."""

import re

PageSample = tuple[str, dict[str, str], float]

_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*\s*=\s*"[^"\\]*(?:\\.[^"\\]*)*"\s*'
_SAMPLE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)"
    rf"(?:\s*\{{\s*((?:{_LABEL},\s*)*(?:{_LABEL})?)\}}\s*|\s+)"
    r"(\S+)(?:\s|$)"
)
_NAME_AND_VALUE = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"([^"\\]*(?:\\.[^"\\]*)*)"')
_ESCAPE = re.compile(r'\\([\\n"])')


def parse(body: bytes, prefixes: tuple[str | bytes, ...]) -> list[PageSample]:
    """Return (name, labels, value) of every sample whose name starts with one of the prefixes, in page order.

    The filter works on undecoded lines, because most of a page of thousands of series is what nobody asked for.
    A line that is no sample is left out: one odd line must not cost the page. Timestamps and exemplars are
    ignored.
    """
    wanted = tuple(prefix.encode() if isinstance(prefix, str) else prefix for prefix in prefixes)
    lines = (line for line in body.split(b"\n") if line.startswith(wanted))
    return [sample for line in lines if (sample := _sample(line.decode("utf-8", "replace")))]


def _sample(line: str) -> PageSample | None:
    match = _SAMPLE.match(line)
    if match is None:
        return None
    name, labels, value = match.groups()
    try:
        number = float(value)  # knows +Inf, -Inf and NaN as Prometheus writes them
    except ValueError:
        return None
    return name, _labels(labels) if labels else {}, number


def _labels(text: str) -> dict[str, str]:
    pairs = _NAME_AND_VALUE.findall(text)
    if "\\" not in text:
        return dict(pairs)
    return {name: _ESCAPE.sub(_unescape, value) for name, value in pairs}


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
