"""Samples as lines of text, the same in both formats; only the heads of families differ."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from exporter.queries.histogram import HistogramValue
from exporter.queries.query import Family, Metric, Value
from exporter.queries.values import Labels
from exporter.state.events import MonitoredTarget

Format = Literal["text", "openmetrics"]
Lines = dict[str, bytes]  # a metric's name to its sample lines

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES: Mapping[Format, dict[int, str]] = {
    "text": str.maketrans({"\\": r"\\", "\n": r"\n"}),
    "openmetrics": _ESCAPES,
}
_TEXT_TYPES = {"info": "gauge", "unknown": "untyped"}


class Prefixes(NamedTuple):
    """Hold the labels that every sample of a target begins with; those of core metrics include its store."""

    stores: str
    core: str

    def of(self, metric: str) -> str:
        return self.core if metric.startswith("datatier_") else self.stores


def prefixes(target: MonitoredTarget) -> Prefixes:
    return _prefixes(target.store, (("target", target.name), *target.labels.items()))


@lru_cache(4096)  # every result of a target has the same
def _prefixes(store: str, labels: Labels) -> Prefixes:
    return Prefixes(*(_label_text(pairs).removeprefix(",") for pairs in (labels, (("store", store), *labels))))


def render_families(families: Iterable[Family], before: Prefixes) -> Lines:
    """Render each family's lines; the label text of a row is rendered once for all its columns."""
    lines: Lines = {}
    shared: Sequence[Labels] | None = None
    texts: list[str] = []
    for metric, labels, values, _ in families:
        if labels is not shared:
            shared, texts = labels, [_label_text(row) for row in labels]
        prefix = before.of(metric.name) + _label_text(metric.labels.items())
        lines[metric.name] = encoded(_family_lines(metric, prefix, texts, values))
    return lines


def encoded(lines: str) -> bytes:
    return lines.encode(errors="replace")  # JSON may bring half of a surrogate pair


def _family_lines(metric: Metric, prefix: str, texts: Sequence[str], values: Sequence[Value]) -> str:
    if metric.type == "histogram":
        pairs = zip(texts, values, strict=True)
        return "".join(_histogram_lines(metric.name, prefix + text, v) for text, v in pairs if v is not None)
    start = f"{metric.name}{{{prefix}"
    if math.isfinite(sum(filter(None, values))):  # type: ignore[arg-type]  # no histograms here; NaN and Inf stay in sums
        pairs = zip(texts, values, strict=True)
        return "".join([f"{start}{text}}} {value!r}\n" for text, value in pairs if value is not None])
    pairs = zip(texts, values, strict=True)
    return "".join(f"{start}{text}}} {_number(value)}\n" for text, value in pairs if value is not None)


def render_sample(name: str, prefix: str, labels: Labels, value: float | HistogramValue) -> str:
    inside = prefix + _kept_label_text(labels)
    if isinstance(value, HistogramValue):
        return _histogram_lines(name, inside, value)
    return f"{name}{{{inside}}} {_number(value)}\n"


def head(metric: Metric, kind: Format) -> str:
    """Return the HELP and TYPE lines; OpenMetrics names a family without its suffix."""
    name, type_name = metric.name, metric.type
    if kind == "openmetrics":
        name = name.removesuffix({"counter": "_total", "info": "_info"}.get(type_name, ""))
    else:
        type_name = _TEXT_TYPES.get(type_name, type_name)  # type: ignore[assignment]  # text has names of its own
    text = metric.help.strip().translate(_HELP_ESCAPES[kind])
    return f"# HELP {name} {text}\n# TYPE {name} {type_name}\n"


def _histogram_lines(name: str, labels: str, value: Value) -> str:
    assert isinstance(value, HistogramValue)  # noqa: S101 - Query.samples returns nothing else for a histogram
    lines = [f'{name}_bucket{{{labels},le="{_number(bound)}"}} {_number(count)}\n' for bound, count in value.buckets]
    if value.sum is not None:
        lines.append(f"{name}_sum{{{labels}}} {_number(value.sum)}\n")
        lines.append(f"{name}_count{{{labels}}} {_number(value.buckets[-1][1])}\n")
    return "".join(lines)


def _number(value: Value) -> str:
    assert isinstance(value, float)  # noqa: S101 - plain samples are floats
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _label_text(labels: Iterable[tuple[str, str]]) -> str:
    """Return labels to follow others; an empty value is the same as no label."""
    return "".join([f',{name}="{_escaped(value)}"' for name, value in labels if value])


_kept_label_text = lru_cache(4096)(_label_text)  # the labels of core metrics are few, and the same at every poll


def _escaped(value: str) -> str:
    return value.translate(_ESCAPES) if "\\" in value or '"' in value or "\n" in value else value
