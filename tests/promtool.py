"""Run promtool on rules and on their tests: as they are, changed, in parts."""

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from exporter import rules
from exporter.duration import parse_duration

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "alerts" / "tests"
_AT_ONCE = 2
_FILES = 12  # for one process
_SECONDS = 900
_FIRING = re.compile(r'alertname="(\w+)"')

Rule = dict[str, Any]


class Trial(NamedTuple):
    """One rule file to be tested, and the tests."""

    rules: Sequence[Rule]
    tests: Sequence[Mapping[str, Any]]
    every: str


class AlertTest(NamedTuple):
    """One test of a file under alerts/tests."""

    alert: str
    every: str  # how often rules are evaluated
    body: Mapping[str, Any]

    @property
    def lasts(self) -> float:
        """Return the second of its last look."""
        return parse_duration(self.body["promql_expr_test"][-1]["eval_time"])


@cache
def alert_tests() -> tuple[AlertTest, ...]:
    """Read all tests; each is of the one alert that its expressions name."""
    found = []
    for path in sorted(TESTS.glob("*.yaml")):
        document = yaml.safe_load(path.read_text())
        for body in document["tests"]:
            [alert] = {name for asked in body["promql_expr_test"] for name in _FIRING.findall(asked["expr"])}
            found.append(AlertTest(alert, document["evaluation_interval"], body))
    return tuple(found)


def rules_of(name: str) -> list[Rule]:
    """Return the rules of one file of the catalogue, with the default limits."""
    [group] = rules.groups([name])
    found: list[Rule] = group["rules"]
    return found


def verdicts(promtool: Path, folder: Path, trials: Iterable[Trial]) -> list[str]:
    """Return what promtool says to each trial: nothing when its tests pass."""
    paths = [_write(folder / str(number), trial) for number, trial in enumerate(trials)]
    chunks = [paths[start : start + _FILES] for start in range(0, len(paths), _FILES)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        said = dict(pair for found in pool.map(lambda chunk: _run(promtool, chunk), chunks) for pair in found.items())
    return [said[str(path)] for path in paths]


def _write(folder: Path, trial: Trial) -> Path:
    folder.mkdir(parents=True)
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "trial", "rules": list(trial.rules)}]}))
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": trial.every, "tests": list(trial.tests)}
    path = folder / "test.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def _run(promtool: Path, paths: Sequence[Path]) -> dict[str, str]:
    command = [str(promtool), "test", "rules", *map(str, paths)]
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_SECONDS
    )
    parts = re.split(r"^Unit Testing:  (.+)$", done.stdout, flags=re.MULTILINE)[1:]
    return {
        path: "" if said.strip() == "SUCCESS" else said.strip()
        for path, said in zip(parts[::2], parts[1::2], strict=True)
    }
