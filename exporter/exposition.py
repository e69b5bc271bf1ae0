"""Samples become text once, when they arrive; a page is a join of what is ready."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from exporter.core_metrics import CORE_METRICS
from exporter.core_samples import core_samples
from exporter.query import HistogramValue, Labels, Metric, Value
from exporter.snapshot import Key, Now, Result, Snapshot, Watched

Format = Literal["text", "openmetrics"]
Lines = dict[str, str]  # a metric's name to its sample lines

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES: Mapping[Format, dict[int, str]] = {
    "text": str.maketrans({"\\": r"\\", "\n": r"\n"}),
    "openmetrics": _ESCAPES,
}
_HEAD_LINES = 2  # HELP and TYPE
_TEXT_TYPES = {"info": "gauge", "unknown": "untyped"}


class Page(NamedTuple):
    """Hold one page, complete but for the exporter's own metrics, and what it was made from."""

    body: bytes
    series: int


class Exposition:
    """Keep every result's lines; join them to pages, once for each state of the snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._lines: dict[Key, Lines] = {}
        self._metrics: dict[str, Metric] = {name: core.metric for name, core in CORE_METRICS.items()}
        self._pages: dict[tuple[Format, str | None], tuple[int, float, Page]] = {}

    def render(self, result: Result) -> None:
        """Render a result's lines and keep them in place of the last ones; a failure has none."""
        if result.error is not None:
            return
        watched = self._snapshot.targets[result.target]
        self._lines[result.key] = render_families(result, watched)
        self._metrics.update({family.metric.name: family.metric for family in result.families})

    def page(self, kind: Format, now: Now, target: str | None = None) -> Page:
        """Return the page for all targets or one; it is made anew only when something changed or expired."""
        version, expiry, page = self._pages.get((kind, target), (-1, 0.0, Page(b"", 0)))
        if version != self._snapshot.version or now.monotonic >= expiry:
            page = self._assemble(kind, now, target)
            expiry = self._snapshot.next_expiry(now.monotonic)
            self._pages[(kind, target)] = (self._snapshot.version, expiry, page)
        return page

    def _assemble(self, kind: Format, now: Now, target: str | None) -> Page:
        parts: defaultdict[str, list[str]] = defaultdict(list)
        results = self._snapshot.results
        self._lines = {key: lines for key, lines in self._lines.items() if key in results[key[0]]}
        for name in self._snapshot.targets if target is None else (target,):
            self._add_target(parts, name, now)
        names = [name for name in sorted(parts) if any(parts[name])]
        text = "".join(head(self._metrics[name], kind) + _joined(name, parts[name]) for name in names)
        body = text.encode(errors="replace")  # JSON may bring half of a surrogate pair
        return Page(body, body.count(b"\n") - _HEAD_LINES * len(names))

    def _add_target(self, parts: Mapping[str, list[str]], target: str, now: Now) -> None:
        for result in self._snapshot.current(target, now.monotonic):
            for family in result.families:
                parts[family.metric.name].append(self._lines[result.key][family.metric.name])
        watched = self._snapshot.targets[target]
        for metric, labels, value in core_samples(self._snapshot, target, now):
            if value is not None:
                parts[metric].append(render_sample(metric, target_prefix(watched, metric), labels, value))


def _joined(name: str, parts: Sequence[str]) -> str:
    """Join a metric's lines; of a core metric that several queries feed, the first of each series counts."""
    text = "".join(parts)
    if len(parts) == 1 or name not in CORE_METRICS or not CORE_METRICS[name].fed:
        return text
    series: dict[str, str] = {}
    for line in text.removesuffix("\n").split("\n"):
        series.setdefault(line.rpartition(" ")[0], f"{line}\n")
    return "".join(series.values())


def render_families(result: Result, watched: Watched) -> Lines:
    """Render each family's lines; the label text of a row is made once and shared by all its columns."""
    lines: Lines = {}
    shared: Sequence[Labels] | None = None
    texts: list[str] = []
    for metric, labels, values in result.families:
        if labels is not shared:
            shared, texts = labels, [_label_text(row) for row in labels]
        prefix = target_prefix(watched, metric.name) + _label_text(tuple(metric.labels.items()))
        lines[metric.name] = _family_lines(metric, prefix, texts, values)
    return lines


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
    inside = prefix + _label_text(labels)
    if isinstance(value, HistogramValue):
        return _histogram_lines(name, inside, value)
    return f"{name}{{{inside}}} {_number(value)}\n"


def target_prefix(watched: Watched, metric: str) -> str:
    """Return the labels that every sample of a target carries; core metrics name its store, too."""
    store = {"store": watched.store} if metric.startswith("datatier_") else {}
    return ",".join(f'{k}="{_escaped(v)}"' for k, v in {**store, "target": watched.name, **watched.labels}.items())


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
    assert isinstance(value, HistogramValue)  # noqa: S101 - Query.samples makes nothing else of a histogram
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


def _escaped(value: str) -> str:
    return value.translate(_ESCAPES) if "\\" in value or '"' in value or "\n" in value else value
