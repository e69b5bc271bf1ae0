"""Pages of samples, joined from text that is ready: of a result when it arrives, of a target when anything changed."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self, get_args

from exporter.config.config import EXPORTER
from exporter.exposition.core_samples import core_samples
from exporter.exposition.text_format import Format, Lines, encoded, head, prefixes, render_families, render_sample
from exporter.queries.core_metrics import CORE_METRICS
from exporter.queries.histogram import HistogramValue
from exporter.queries.query import Metric
from exporter.queries.values import Labels
from exporter.state.events import Instant, Key, Result
from exporter.state.snapshot import Snapshot

BLOCK = 1 << 20
_EXPORTER_LABELS = f'store="{EXPORTER}",target="{EXPORTER}"'


class TargetFragment(NamedTuple):
    """Hold one target's lines of every page, valid until something of the target changes or expires."""

    version: int
    expiry: float
    lines: Lines
    size: int
    series: int

    @classmethod
    def of(cls, version: int, expiry: float, lines: Lines) -> Self:
        size, series = sum(map(len, lines.values())), sum(text.count(b"\n") for text in lines.values())
        return cls(version, expiry, lines, size, series)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Page:
    """Hold what a page is joined of, without the exporter's own metrics.

    made: what is sent of the page, by the function that makes it; kept as long as the page, for all its scrapers.
    """

    heads: Mapping[str, bytes]
    fragments: Sequence[TargetFragment]
    made: dict[Callable[..., object], asyncio.Task[Any]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(map(len, self.heads.values())) + sum(fragment.size for fragment in self.fragments)

    @property
    def series(self) -> int:
        return sum(fragment.series for fragment in self.fragments)

    def blocks(self) -> Iterator[bytes]:
        """Yield the page in blocks of about a megabyte; for a large page, call this off the event loop."""
        block, size = [], 0
        for name, first in self.heads.items():
            lines = [fragment.lines[name] for fragment in self.fragments if name in fragment.lines]
            block += [first, *lines]
            size += sum(map(len, lines))
            if size >= BLOCK:
                yield b"".join(block)
                block, size = [], 0
        yield b"".join(block)


NOTHING = Page({}, ())


class Exposition:
    """Keep the lines of each result and the fragment of each target; join fragments to pages."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._lines: dict[str, dict[Key, Lines]] = {}
        self._fragments: dict[str, TargetFragment] = {}
        self._exporter: list[TargetFragment] = []
        self._metrics: dict[str, Metric] = {}
        self._heads: dict[Format, dict[str, bytes]] = {kind: {} for kind in get_args(Format)}
        self._pages: defaultdict[str | None, dict[Format, tuple[int, float, Page]]] = defaultdict(dict)
        for core in CORE_METRICS.values():
            self._declare(core.metric)

    def render(self, result: Result) -> None:
        """Render a result's lines and keep them in place of its last ones; a failure has none."""
        if result.error is not None:
            return
        before = prefixes(self._snapshot.targets[result.target])
        lines = self._lines.setdefault(result.target, {})
        lines[result.key] = render_families(result.families, before)
        for family in result.families:
            self._declare(family.metric)

    def refresh(self, target: str, now: Instant) -> None:
        """Render a target's fragment anew where anything changed or expired; called after each poll for the scrapes."""
        fragment = self._fragments.get(target)
        if fragment is None or fragment.version != self._snapshot.changed[target] or now.monotonic >= fragment.expiry:
            self._fragments[target] = self._fragment(target, now)

    def page(self, kind: Format, now: Instant, target: str | None = None) -> Page:
        """Return the page of all targets, of one or of the exporter; the same until something changes or expires."""
        version = self._snapshot.version if target is None else self._snapshot.changed.get(target, 0)
        known, expiry, page = self._pages[target].get(kind, (-1, 0.0, NOTHING))
        if known != version or now.monotonic >= expiry:
            page = self._assemble(kind, now, target)
            expiry = min((fragment.expiry for fragment in page.fragments), default=math.inf)
            self._pages[target][kind] = version, expiry, page
        return page

    def set_exporter_metrics(self, samples: Mapping[str, float]) -> None:
        """Replace the core metrics of the exporter itself."""
        lines = {name: render_sample(name, _EXPORTER_LABELS, (), value) for name, value in samples.items()}
        self._exporter = [TargetFragment.of(0, math.inf, {name: encoded(line) for name, line in lines.items()})]
        for target in (None, EXPORTER):
            self._pages.pop(target, None)

    def forget(self, target: str) -> None:
        """Drop a target that is no longer monitored."""
        self._lines.pop(target, None)
        self._fragments.pop(target, None)
        self._pages.pop(target, None)

    def _assemble(self, kind: Format, now: Instant, target: str | None) -> Page:
        targets = [name for name in self._snapshot.targets if target in (None, name)]
        for name in targets:
            self.refresh(name, now)
        fragments = [self._fragments[name] for name in targets] + (self._exporter if target in (None, EXPORTER) else [])
        metrics = sorted({metric for fragment in fragments for metric in fragment.lines})
        return Page({metric: self._heads[kind][metric] for metric in metrics}, fragments)

    def _fragment(self, target: str, now: Instant) -> TargetFragment:
        texts: defaultdict[str, list[bytes]] = defaultdict(list)
        results = self._snapshot.results[target]
        ready = self._lines[target] = {k: v for k, v in self._lines.get(target, {}).items() if k in results}
        for result in self._snapshot.fresh_results(target, now.monotonic):
            lines = ready.get(result.key, {})
            for metric in result.series:
                texts[metric].append(lines[metric])
        for metric, text in self._core_lines(target, now):
            texts[metric].append(text)
        joined = {name: _joined(name, found) for name, found in texts.items() if any(found)}
        return TargetFragment.of(
            self._snapshot.changed[target], self._snapshot.next_expiry(now.monotonic, target), joined
        )

    def _core_lines(self, target: str, now: Instant) -> Iterator[tuple[str, bytes]]:
        samples: defaultdict[str, list[tuple[Labels, float | HistogramValue]]] = defaultdict(list)
        for metric, labels, value in core_samples(self._snapshot, target, now):
            if value is not None:
                samples[metric].append((labels, value))
        before = prefixes(self._snapshot.targets[target])
        for metric, found in samples.items():
            prefix = before.of(metric)
            yield metric, encoded("".join([render_sample(metric, prefix, labels, value) for labels, value in found]))

    def _declare(self, metric: Metric) -> None:
        known = self._metrics.get(metric.name)
        if known is not metric and known != metric:
            self._metrics[metric.name] = metric
            for kind, heads in self._heads.items():
                heads[metric.name] = encoded(head(metric, kind))


def _joined(name: str, texts: Sequence[bytes]) -> bytes:
    """Join a metric's lines; of a core metric from several queries, keep the first line of each series."""
    if len(texts) == 1:
        return texts[0]
    text = b"".join(texts)
    if name not in CORE_METRICS or not CORE_METRICS[name].from_queries:
        return text
    series: dict[bytes, bytes] = {}
    for line in text.removesuffix(b"\n").split(b"\n"):
        series.setdefault(line.rpartition(b" ")[0], line + b"\n")
    return b"".join(series.values())
