"""Run promtool on tests of rules."""

import json
import re
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.support.alert_tests import AlertTest, Rule

_AT_ONCE = 2
_FILES = 50  # for one process
_SECONDS = 900


class Trial(NamedTuple):
    """Rules, and a test of them."""

    rules: Sequence[Rule]
    test: AlertTest


def verdicts(promtool: Path, trials: Iterable[Trial]) -> list[str]:
    """Return what promtool says to each trial: nothing when its test passes."""
    with TemporaryDirectory() as folder, ThreadPoolExecutor(_AT_ONCE) as pool:
        paths = [_write(Path(folder) / str(number), trial) for number, trial in enumerate(trials)]
        chunks = [paths[start : start + _FILES] for start in range(0, len(paths), _FILES)]
        found = pool.map(lambda chunk: run_tests(promtool, chunk), chunks)
        return [said for answers in found for said in answers]


def _write(folder: Path, trial: Trial) -> Path:
    folder.mkdir()
    groups = [{"name": "trial", "rules": trial.rules}]
    tests = {"rule_files": ["rules.yaml"], "evaluation_interval": trial.test.every, "tests": [trial.test.body]}
    path = folder / "test.yaml"
    # JSON is YAML that is written a hundred times as fast.
    (folder / "rules.yaml").write_text(json.dumps({"groups": groups}))
    path.write_text(json.dumps(tests))
    return path


def run_tests(promtool: Path, paths: Sequence[Path]) -> list[str]:
    """Return what promtool says to each file of tests: nothing when they pass."""
    command = [str(promtool), "test", "rules", *map(str, paths)]
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_SECONDS
    )
    said = re.split(r"^Unit Testing:  .+$", done.stdout, flags=re.MULTILINE)[1:]
    assert len(said) == len(paths), done.stdout
    return ["" if text.strip() == "SUCCESS" else text.strip("\n") for text in said]
