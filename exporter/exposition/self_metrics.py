"""The exporter's own metrics, kept by prometheus-client: process, garbage collection, event loop, page size."""

import asyncio
import time
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Gauge, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client import generate_latest as text_page
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_page

from exporter import __version__
from exporter.exposition.page import Page
from exporter.exposition.text_format import Format

LAG_EVERY = 5.0
_GAUGES = {
    "datatier_event_loop_lag_seconds": "How late the event loop last woke.",
    "datatier_tasks": "Asyncio tasks alive.",
    "datatier_scrape_page_bytes": "Size of the last page before compression.",
    "datatier_scrape_page_series": "Series on the last page, these aside.",
    "datatier_config_last_reload_successful": (
        "1 when the last reload of the configuration was applied, 0 when it was refused."
    ),
    "datatier_config_last_reload_success_timestamp_seconds": (
        "When a configuration was last applied, at the start or by a reload."
    ),
}


class SelfMetrics:
    """Hold a registry of our own, so that no imported library can add to the page."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        build = Gauge("datatier_build_info", "Version of the exporter.", ["version"], registry=self._registry)
        build.labels(__version__).set(1)
        self._gauges = {name: Gauge(name, text, registry=self._registry) for name, text in _GAUGES.items()}
        self.note_reload(())

    def page(self, kind: Format, targets: Page | None) -> bytes:
        """Render what follows the targets' page, if any, with the end mark of OpenMetrics."""
        if targets is not None:
            self._gauges["datatier_scrape_page_bytes"].set(targets.size)
            self._gauges["datatier_scrape_page_series"].set(targets.series)
        self._gauges["datatier_tasks"].set(len(asyncio.all_tasks()))
        page: bytes = (openmetrics_page if kind == "openmetrics" else text_page)(self._registry)
        return page

    def note_reload(self, problems: Sequence[str]) -> None:
        """Record a reload, successful without problems; `reloaded_at` is the Unix time of the last successful one."""
        self.reloaded = not problems
        self._gauges["datatier_config_last_reload_successful"].set(self.reloaded)
        if self.reloaded:
            self.reloaded_at = time.time()
            self._gauges["datatier_config_last_reload_success_timestamp_seconds"].set(self.reloaded_at)

    async def measure_lag(self) -> None:
        """Measure for ever how late a sleep ends."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(LAG_EVERY)
            self._gauges["datatier_event_loop_lag_seconds"].set(max(0.0, time.perf_counter() - began - LAG_EVERY))
