"""What /sd says to Prometheus' http_sd: scrape each target by itself, at its own interval."""

from collections.abc import Iterable
from typing import Any

from exporter.snapshot import Watched

_LONGEST_TIMEOUT = 10.0  # Prometheus' default, which must not be above the interval


def discovery(targets: Iterable[Watched], scheme: str, address: str) -> list[dict[str, Any]]:
    """Return the entries; the address is ours, as the client knows it."""
    return [
        {
            "targets": [address],
            "labels": {
                "__scheme__": scheme,
                "__metrics_path__": "/probe",
                "__param_target": target.name,
                "__scrape_interval__": _duration(target.interval),
                "__scrape_timeout__": _duration(min(target.interval, _LONGEST_TIMEOUT)),
                "store": target.store,
                "target": target.name,
            },
        }
        for target in targets
    ]


def _duration(seconds: float) -> str:
    """Write a duration as Prometheus reads it: it knows no fractions."""
    milliseconds = max(1, round(1000 * seconds))
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"
