"""Half an hour under load: what an exporter holds at the end, and what it held after five minutes.

pgbench runs 200 transactions a second on PostgreSQL 18 while the exporter polls it every 15 s, the activity sampler
included, and is scraped each 5 s. Memory, file descriptors, threads, asyncio tasks and its backends on the server (with
the memory of their processes) are read every minute; flat means that the median of the last five minutes is not above
the median of the minutes 5 to 10 by more than a tenth. `MINUTES=12 python -m bench.endurance` is shorter.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench.process import memory_mib
from bench.results import Figure, Outcome, run
from testkit.postgres import Postgres
from testkit.postgres_programs import fetch
from tests.support.exporter_process import Exporter

MINUTES = int(os.environ.get("MINUTES", "30"))
VERSION = "18"
_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'datatier-exporter'"


def measure() -> Outcome:
    with Postgres(VERSION, {"shared_buffers": "128MB"}) as postgres, _pgbench(postgres):
        target = postgres.target("bench", sample_activity=True)
        with Exporter([target], interval="15s") as exporter:
            exporter.wait_up("bench")
            readings = [_minute(exporter, postgres) for _ in range(MINUTES)]
    early, late = readings[5:10], readings[-5:]
    figures = []
    for name, unit in (
        ("RSS", "MiB"), ("file descriptors", "descriptors"), ("threads", "threads"), ("asyncio tasks", "tasks"),
        ("backends", "connections"), ("backends' memory", "MiB"), ("series", "series"),
    ):  # fmt: skip
        before, after = (median(reading[name] for reading in part) for part in (early, late))
        figures.append(
            Figure(f"{name} after {MINUTES} min (5 to 10 min: {before:.4g})", unit, after, at_most=1.1 * before)
        )
    return Outcome("endurance", figures, {"method": __doc__, "readings": readings})


def _minute(exporter: Exporter, postgres: Postgres) -> dict[str, float]:
    """Scrape for a minute, then read everything."""
    for _ in range(12):
        time.sleep(5)
        samples = exporter.samples()
    backends = [int(pid) for (pid,) in postgres.psql(_BACKENDS)]
    return {
        "RSS": memory_mib(exporter.pid),
        "file descriptors": len(list(Path(f"/proc/{exporter.pid}/fd").iterdir())),
        "threads": len(list(Path(f"/proc/{exporter.pid}/task").iterdir())),
        "asyncio tasks": samples["datatier_tasks"][()],
        "backends": len(backends),
        "backends' memory": sum(memory_mib(pid, "RssAnon") for pid in backends),
        "series": sum(len(series) for series in samples.values()),
    }


@contextmanager
def _pgbench(postgres: Postgres) -> Iterator[None]:
    """Let pgbench work until the block is left."""
    folder = fetch(VERSION)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder / "lib")}
    program = [str(folder / "bin" / "pgbench"), "--quiet"]
    subprocess.run([*program, "-i", "-s", "5", postgres.dsn("app")], env=environment, check=True, capture_output=True)
    load = ["-c", "4", "-j", "1", "-R", "200", "-T", str(60 * MINUTES + 600), postgres.dsn("app")]
    process = subprocess.Popen(
        [*program[:1], *load], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    run(measure)
