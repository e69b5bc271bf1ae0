"""How long a start takes: from exec to the first 200 of /livez, and on to that of /startupz.

Medians of 7 starts each, in turns, on running servers, modules compiled. Beside them, as a measure of the machine,
the interpreter alone and with FastAPI imported.
"""

import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import yaml

from bench.client import Client
from bench.contestants import FOUR, targets
from bench.machine import ROOT
from bench.results import Figure, Outcome, run
from testkit.process import free_port

STARTS = 7
DEADLINE = 30.0


class Start(NamedTuple):
    livez: float
    startupz: float


def measure() -> Outcome:
    one, four = targets("postgres"), targets(*FOUR)
    ones, fours, bare, fastapi = [], [], [], []
    for _ in range(STARTS):
        ones.append(start(one))
        fours.append(start(four))
        bare.append(interpreter("pass"))
        fastapi.append(interpreter("import fastapi"))
    figures = [
        Figure("exec to /livez, PostgreSQL only", "s", median(run.livez for run in ones), at_most=0.4),
        Figure("exec to /livez, four stores", "s", median(run.livez for run in fours), at_most=0.4),
        Figure("exec to /startupz, PostgreSQL only", "s", median(run.startupz for run in ones)),
        Figure("exec to /startupz, four stores", "s", median(run.startupz for run in fours)),
        Figure("the interpreter alone", "s", median(bare)),
        Figure("the interpreter importing FastAPI", "s", median(fastapi)),
    ]
    return Outcome(
        "startup", figures, {"method": __doc__, "one": ones, "four": fours, "interpreter": bare, "fastapi": fastapi}
    )


def start(watched: list[dict[str, Any]]) -> Start:
    """Start the exporter once, wait until it answers, end it."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="datatier-bench-") as folder, (Path(folder) / "log").open("wb") as log:
        config = Path(folder) / "datatier.yaml"
        config.write_text(yaml.safe_dump({"listen": f"127.0.0.1:{port}", "targets": watched}))
        command = [sys.executable, "-m", "exporter", "--config", str(config)]
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            return Start(*(until_ok(port, path, began) for path in ("/livez", "/startupz")))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(DEADLINE)


def until_ok(port: int, path: str, began: float) -> float:
    """Ask until the answer is 200; return the seconds since the start."""
    while time.perf_counter() - began < DEADLINE:
        with suppress(OSError), Client(port, timeout=1) as client:
            client.get(path)
            return time.perf_counter() - began
        time.sleep(0.002)
    raise TimeoutError(f"{path} did not answer 200 within {DEADLINE:.0f} s")


def interpreter(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    run(measure)
