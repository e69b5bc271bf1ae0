"""The response for Prometheus' http_sd: scrape each target on its own, at its interval, and then the exporter."""

from collections.abc import Iterable
from typing import Any

from exporter.config.config import EXPORTER
from exporter.state.events import MonitoredTarget

_LONGEST_TIMEOUT = 10.0  # Prometheus' default, which must not be above the interval


def discovery(targets: Iterable[MonitoredTarget], scheme: str, address: str) -> list[dict[str, Any]]:
    """Return the entries; the address is the exporter's, as the client used it."""

    def entry(store: str, target: str, **labels: str) -> dict[str, Any]:
        path = {"__scheme__": scheme, "__metrics_path__": "/probe", "__param_target": target}
        return {"targets": [address], "labels": {**path, **labels, "store": store, "target": target}}

    return [
        *(entry(target.store, target.name, **_pace(target.interval)) for target in targets),
        entry(EXPORTER, EXPORTER),
    ]


def _pace(interval: float) -> dict[str, str]:
    timeout = min(interval, _LONGEST_TIMEOUT)
    return {"__scrape_interval__": _duration(interval), "__scrape_timeout__": _duration(timeout)}


def _duration(seconds: float) -> str:
    """Format a duration for Prometheus, which reads no fractions."""
    milliseconds = max(1, round(1000 * seconds))
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"
