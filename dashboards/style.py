"""What numbers mean: their colours, their words, their digits."""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode, ValueMap, ValueMappingResult

from exporter.config.thresholds import THRESHOLDS

Steps = Sequence[tuple[float | None, str]]  # from this value on, this colour; the first has no value
Words = Mapping[float | str, tuple[str, str]]  # a value's word and colour

PLAIN: Steps = ((None, "text"),)
STATES: Words = {0: ("ok", "green"), 1: ("unknown", "gray"), 2: ("degraded", "orange"), 3: ("down", "red")}
CHECKS: Words = {0: ("pass", "green"), 1: ("unknown", "gray"), 2: ("warn", "orange"), 3: ("fail", "red")}
GOOD: Words = {0: ("no", "red"), 1: ("yes", "green")}
EITHER: Words = {0: ("no", "text"), 1: ("yes", "green")}
SEVERITIES: Words = {"critical": ("critical", "red"), "warning": ("warning", "orange")}

DAYS = "suffix: days"  # Grafana's own unit turns thirty of them into weeks
DIGITS = {"percentunit": 1}
_LEAST_TOP = {"percentunit": 0.01, "s": 0.01, "bytes": 1024, "Bps": 1024, "ops": 0.1, "reqps": 0.1}
_SOME = 4  # of what is counted


def limit(name: str, *, scale: float = 1.0) -> Steps:
    """Return the colours of a threshold: what warns is orange, what fails is red."""
    found = THRESHOLDS[name]
    steps: list[tuple[float | None, str]] = [(None, "green"), (found.warn * scale, "orange")]
    return (*steps, (found.fail * scale, "red")) if found.fail is not None else tuple(steps)


def above(warn: float | None = None, fail: float | None = None) -> Steps:
    """Return colours for a value that is bad when it is high."""
    return (
        (None, "green"),
        *(((warn, "orange"),) if warn is not None else ()),
        *(((fail, "red"),) if fail is not None else ()),
    )


def below(warn: float, fail: float | None = None) -> Steps:
    """Return colours for a value that is bad when it is low."""
    return ((None, "orange"), (warn, "green")) if fail is None else ((None, "red"), (fail, "orange"), (warn, "green"))


def least_top(unit: str, steps: Steps) -> float:
    """Return where a graph ends at the least: one of nothing but zeros would end at a hundred, noise look like news."""
    if unit not in _LEAST_TOP:
        return _SOME
    limits = [value for value, _ in steps if value is not None]
    return max(_LEAST_TOP[unit], limits[0] / 10) if limits else _LEAST_TOP[unit]


def bad_when_low(steps: Steps) -> bool:
    """Return whether the colours are those of `below`."""
    return steps[0][1] in ("orange", "red")


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    """Return the colours as Grafana has them."""
    return (
        dashboard.ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=value, color=colour) for value, colour in steps])
    )


def mappings(words: Words) -> list[ValueMap]:
    """Return the words as Grafana has them."""
    options = {
        value if isinstance(value, str) else f"{value:g}": ValueMappingResult(text=word, color=colour, index=index)
        for index, (value, (word, colour)) in enumerate(words.items())
    }
    return [ValueMap(options=options)]
