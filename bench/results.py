"""Figures, where they are written, and the table made of them."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.compiled import compiled_modules
from bench.machine import facts

HERE = Path(__file__).parent
RESULTS = HERE / "results"
README = HERE / "README.md"
_WHOLE_FROM = 999.5
BEGIN, END = "<!-- results: written by python -m bench -->", "<!-- end of results -->"
ORDER = (
    "scrape", "cycle", "startup", "memory", "health", "frozen", "files", "backups",
    "scale", "soak", "faults", "hostile", "load", "endurance",
)  # fmt: skip


class Figure(NamedTuple):
    """One number of ours, the peer's beside it where there is one, and the goal: a limit or a factor."""

    name: str
    unit: str
    ours: float | None
    peer: float | None = None
    at_most: float | None = None
    times_less: float | None = None

    @property
    def factor(self) -> float | None:
        """Return how many times the peer's number is ours."""
        return self.peer / self.ours if self.peer is not None and self.ours else None

    @property
    def met(self) -> bool | None:
        if self.at_most is not None:
            return self.ours is not None and self.ours <= self.at_most
        if self.times_less is not None:
            return self.factor is not None and self.factor >= self.times_less
        return None


class Outcome(NamedTuple):
    """What one benchmark found; `details` holds what the figures were made of."""

    bench: str
    figures: list[Figure]
    details: Mapping[str, object]


def run(measure: Callable[[], Outcome]) -> None:
    """Run one benchmark and write what it found."""
    with compiled_modules():
        write(measure())


def write(outcome: Outcome) -> None:
    """Write a benchmark's results, make the table anew and print what is new."""
    RESULTS.mkdir(exist_ok=True)
    figures = [{**figure._asdict(), "factor": figure.factor, "met": figure.met} for figure in outcome.figures]
    document = {"bench": outcome.bench, "machine": facts(), "figures": figures, "details": outcome.details}
    (RESULTS / f"{outcome.bench}.json").write_text(json.dumps(_rounded(document), indent=1) + "\n")
    between(README, BEGIN, END, _tables())
    print("\n".join(_rows(outcome.figures)), flush=True)


def between(page: Path, begin: str, end: str, lines: Iterable[str]) -> None:
    """Replace what stands between two marks of a page."""
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text("\n".join([before + begin, *lines, end + after]))


def _tables() -> Iterator[str]:
    for bench in ORDER:
        path = RESULTS / f"{bench}.json"
        if path.exists():
            document = json.loads(path.read_text())
            names = Figure._fields
            figures = [Figure(**{name: entry[name] for name in names}) for entry in document["figures"]]
            machine = document["machine"]
            where = f"{machine['cores']} cores {machine['cpu']}, Python {machine['python']}"
            when = f"{machine['date'][:16]}Z, commit {machine['commit']}, load {machine['load_1m']}"
            yield f"\n**{bench}** ({where}; {when})\n"
            yield "| | datatier-exporter | postgres_exporter 0.11.1 | factor | goal | met |"
            yield "|---|---:|---:|---:|---|---|"
            yield from _rows(figures)
    yield ""


def _rows(figures: Iterable[Figure]) -> Iterator[str]:
    for figure in figures:
        goal = f"≤ {_text(figure.at_most)} {figure.unit}" if figure.at_most is not None else ""
        goal = f"≥ {figure.times_less:g}x" if figure.times_less is not None else goal
        factor = f"{figure.factor:.1f}x" if figure.factor is not None and figure.unit == "ms" else ""
        met = {True: "yes", False: "**no**", None: ""}[figure.met]
        values = f"{_text(figure.ours)} | {_text(figure.peer)}"
        yield f"| {figure.name}, {figure.unit} | {values} | {factor} | {goal} | {met} |"


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) > _WHOLE_FROM or value == int(value) else f"{value:.3g}"


def _rounded(value: Any) -> Any:
    """Return a document with floats as short as their worth."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list | tuple) else value
