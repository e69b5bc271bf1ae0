"""Run every benchmark, or those that are named: `python -m bench [scrape cycle ...]`."""

import argparse
import sys
import time

from bench import cycle, frozen, health, memory, scrape, startup
from bench.results import write
from tests.servers import Unavailable

ALL = {
    "scrape": scrape.measure,
    "cycle": cycle.measure,
    "health": health.measure,
    "frozen": frozen.measure,
    "startup": startup.measure,
    "memory": memory.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*ALL, []], metavar="benchmark", help=f"of {', '.join(ALL)}")
    status = 0
    for name in parser.parse_args().names or ALL:
        began = time.perf_counter()
        print(f"{name} ...", flush=True)
        try:
            write(ALL[name]())
            print(f"{name}: {time.perf_counter() - began:.0f} s\n", flush=True)
        except Unavailable as reason:
            print(f"{name}: not measured: {reason}\n", flush=True)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
