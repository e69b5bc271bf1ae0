"""Run every benchmark but the long ones, or those that are named: `python -m bench [scrape cycle ...]`."""

import argparse
import sys
import time

from bench import (
    backups,
    cycle,
    endurance,
    faults,
    files,
    frozen,
    health,
    hostile,
    load,
    memory,
    scale,
    scrape,
    soak,
    startup,
)
from bench.compiled import compiled_modules
from bench.results import write
from testkit import Unavailable

ALL = {
    "scrape": scrape.measure,
    "cycle": cycle.measure,
    "health": health.measure,
    "frozen": frozen.measure,
    "startup": startup.measure,
    "memory": memory.measure,
    "files": files.measure,
}
# From five minutes to half an hour.
LONG = {
    "backups": backups.measure,
    "scale": scale.measure,
    "soak": soak.measure,
    "faults": faults.measure,
    "hostile": hostile.measure,
    "load": load.measure,
    "endurance": endurance.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="benchmark", help=f"of {', '.join(ALL)}; and the long ones {', '.join(LONG)}"
    )
    names = parser.parse_args().names or list(ALL)
    if unknown := set(names) - (ALL | LONG).keys():
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    with compiled_modules():
        return max(report(name) for name in names)


def report(name: str) -> int:
    """Run one benchmark, print its outcome and return the exit status."""
    began = time.perf_counter()
    print(f"{name} ...", flush=True)
    try:
        write((ALL | LONG)[name]())
    except Unavailable as reason:
        print(f"{name}: not measured: {reason}\n", flush=True)
        return 1
    print(f"{name}: {time.perf_counter() - began:.0f} s\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
