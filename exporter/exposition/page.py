"""Samples become text once, when they arrive; a page is a join of what is ready."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

from exporter.config.config import EXPORTER
from exporter.exposition.core_samples import core_samples
from exporter.exposition.text_format import Format, Lines, encoded, head, prefixes, render_families, render_sample
from exporter.queries.core_metrics import CORE_METRICS
from exporter.queries.histogram import HistogramValue
from exporter.queries.query import Metric
from exporter.queries.values import Labels
from exporter.state.events import Instant, Key, Result
from exporter.state.snapshot import Snapshot

_BLOCK = 1 << 20
_OWN_LABELS = f'store="{EXPORTER}",target="{EXPORTER}"'


class Part(NamedTuple):
    """Hold one target's share of every page, good until something of the target changes or expires."""

    version: int
    expiry: float
    lines: Lines
    size: int
    series: int


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Page:
    """Hold what a page is joined of, the exporter's own metrics aside; each is itself alone, a key while it lives."""

    heads: Mapping[str, bytes]
    parts: Sequence[Part]

    @property
    def size(self) -> int:
        return sum(map(len, self.heads.values())) + sum(part.size for part in self.parts)

    @property
    def series(self) -> int:
        return sum(part.series for part in self.parts)

    def blocks(self) -> Iterator[bytes]:
        """Yield the page in blocks of about a megabyte; a large one takes its time, which need not be the loop's."""
        block, size = [], 0
        for name, first in self.heads.items():
            lines = [part.lines[name] for part in self.parts if name in part.lines]
            block += [first, *lines]
            size += sum(map(len, lines))
            if size >= _BLOCK:
                yield b"".join(block)
                block, size = [], 0
        yield b"".join(block)


NOTHING = Page({}, ())


class Exposition:
    """Keep every result's lines and every target's part; put parts together to pages."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._lines: dict[str, dict[Key, Lines]] = {}
        self._parts: dict[str, Part] = {}
        self._own: list[Part] = []
        self._metrics: dict[str, Metric] = {}
        self._heads: dict[Format, dict[str, bytes]] = {kind: {} for kind in get_args(Format)}
        self._pages: dict[tuple[Format, str | None], tuple[int, float, Page]] = {}
        for core in CORE_METRICS.values():
            self._declare(core.metric)

    def render(self, result: Result) -> None:
        """Render a result's lines and keep them in place of the last ones; a failure has none."""
        if result.error is not None:
            return
        before = prefixes(self._snapshot.targets[result.target])
        lines = self._lines.setdefault(result.target, {})
        lines[result.key] = render_families(result.families, before)
        for family in result.families:
            self._declare(family.metric)

    def refresh(self, target: str, now: Instant) -> None:
        """Make a target's part anew where anything of it changed or expired: then pages need not wait for it."""
        part = self._parts.get(target)
        if part is None or part.version != self._snapshot.changed[target] or now.monotonic >= part.expiry:
            self._parts[target] = self._part(target, now)

    def page(self, kind: Format, now: Instant, target: str | None = None) -> Page:
        """Return the page of all, of a target or of the exporter; another only when something changed or expired."""
        version = self._snapshot.version if target is None else self._snapshot.changed.get(target, 0)
        known, expiry, page = self._pages.get((kind, target), (-1, 0.0, NOTHING))
        if known != version or now.monotonic >= expiry:
            page = self._assemble(kind, now, target)
            expiry = min((part.expiry for part in page.parts), default=math.inf)
            self._pages[(kind, target)] = (version, expiry, page)
        return page

    def set_exporter_metrics(self, samples: Mapping[str, float]) -> None:
        """Show core metrics of the exporter itself, in place of those told before."""
        own = {name: render_sample(name, _OWN_LABELS, (), value) for name, value in samples.items()}
        self._own = [_part(0, math.inf, {name: encoded(line) for name, line in own.items()})]
        for kind in self._heads:
            for target in (None, EXPORTER):
                self._pages.pop((kind, target), None)

    def forget(self, target: str) -> None:
        """Drop a target that is watched no more."""
        self._lines.pop(target, None)
        self._parts.pop(target, None)
        for kind in self._heads:
            self._pages.pop((kind, target), None)

    def _assemble(self, kind: Format, now: Instant, target: str | None) -> Page:
        targets = [name for name in self._snapshot.targets if target in (None, name)]
        for name in targets:
            self.refresh(name, now)
        parts = [self._parts[name] for name in targets] + (self._own if target in (None, EXPORTER) else [])
        metrics = sorted({metric for part in parts for metric in part.lines})
        return Page({metric: self._heads[kind][metric] for metric in metrics}, parts)

    def _part(self, target: str, now: Instant) -> Part:
        texts: defaultdict[str, list[bytes]] = defaultdict(list)
        results = self._snapshot.results[target]
        ready = self._lines[target] = {k: v for k, v in self._lines.get(target, {}).items() if k in results}
        for result in self._snapshot.fresh_results(target, now.monotonic):
            lines = ready.get(result.key, {})
            for metric in result.series:
                texts[metric].append(lines[metric])
        for metric, text in self._core_lines(target, now):
            texts[metric].append(text)
        joined = {name: _joined(name, parts) for name, parts in texts.items() if any(parts)}
        return _part(self._snapshot.changed[target], self._snapshot.next_expiry(now.monotonic, target), joined)

    def _core_lines(self, target: str, now: Instant) -> Iterator[tuple[str, bytes]]:
        samples: defaultdict[str, list[tuple[Labels, float | HistogramValue]]] = defaultdict(list)
        for metric, labels, value in core_samples(self._snapshot, target, now):
            if value is not None:
                samples[metric].append((labels, value))
        before = prefixes(self._snapshot.targets[target])
        for metric, told in samples.items():
            prefix = before.of(metric)
            yield metric, encoded("".join([render_sample(metric, prefix, labels, value) for labels, value in told]))

    def _declare(self, metric: Metric) -> None:
        known = self._metrics.get(metric.name)
        if known is not metric and known != metric:
            self._metrics[metric.name] = metric
            for kind, heads in self._heads.items():
                heads[metric.name] = encoded(head(metric, kind))


def _part(version: int, expiry: float, lines: Lines) -> Part:
    size, series = sum(map(len, lines.values())), sum(text.count(b"\n") for text in lines.values())
    return Part(version, expiry, lines, size, series)


def _joined(name: str, texts: Sequence[bytes]) -> bytes:
    """Join a metric's lines; of a core metric that several queries feed, the first of each series counts."""
    if len(texts) == 1:
        return texts[0]
    text = b"".join(texts)
    if name not in CORE_METRICS or not CORE_METRICS[name].fed:
        return text
    series: dict[bytes, bytes] = {}
    for line in text.removesuffix(b"\n").split(b"\n"):
        series.setdefault(line.rpartition(b" ")[0], line + b"\n")
    return b"".join(series.values())
