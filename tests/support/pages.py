"""Pages as Prometheus' own libraries read them."""

from collections.abc import Callable, Iterable

from prometheus_client import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.exposition.page import Exposition
from exporter.exposition.text_format import Format
from exporter.state.events import Event, MonitoredTarget, Result
from tests.support.factories import at, snapshot

PARSERS: dict[Format, Callable[[str], Iterable[Family]]] = {"text": parse_text, "openmetrics": parse_openmetrics}
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Pages:
    """A snapshot and its pages, fed as the service does it."""

    def __init__(self, *targets: MonitoredTarget) -> None:
        self.snapshot = snapshot(*targets)
        self.exposition = Exposition(self.snapshot)

    def publish(self, *events: Event) -> None:
        for event in events:
            self.snapshot.apply(event)
            if isinstance(event, Result):
                self.exposition.render(event)

    def text(self, kind: Format = "text", now: float = 100.0, target: str | None = None) -> str:
        return b"".join(self.exposition.page(kind, at(now), target).blocks()).decode()

    def series(self, kind: Format = "text", now: float = 100.0, target: str | None = None) -> Series:
        end = "# EOF\n" if kind == "openmetrics" else ""
        return series_of(self.text(kind, now, target) + end, kind)


def series_of(text: str, kind: Format = "text") -> Series:
    """Parse a page with the oracle; no series may be there twice, which it would not notice."""
    found: Series = {}
    for family in PARSERS[kind](text):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found
