"""Measurements that tests take: the cells they write, and the table of them in docs/explanation/reliability.md."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.machine import facts
from bench.results import between

Cell = Mapping[str, Any]

_ROOT = Path(__file__).parent.parent
_PAGE = _ROOT / "docs" / "explanation" / "reliability.md"


def measured(variable: str, *tests: str) -> list[Cell]:
    """Run files of tests, which write their cells to the file that a variable of the environment names."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cells.json"
        command = [sys.executable, "-m", "pytest", "-q", *tests]
        subprocess.run(command, cwd=_ROOT, env={**os.environ, variable: str(file)}, check=True)
        cells: list[Cell] = json.loads(file.read_text())
    return cells


def show(name: str, begin: str, end: str, table: Iterable[str]) -> None:
    """Put a table between two marks of the page, under where and when it was measured."""
    where = facts()
    about = f"`python -m bench {name}` on {str(where['date'])[:10]}, {where['cores']} cores, load {where['load_1m']}:"
    between(_PAGE, begin, end, ["", about, "", *table, ""])
