"""Fetch servers into the cache, all side by side: `python -m testkit fetch [postgres:18 neo4j minio ...]`."""

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from testkit import (
    Unavailable,
    debian,
    minio,
    neo4j,
    neo4j_programs,
    pgvector,
    postgres,
    postgres_programs,
    prometheus,
)

Fetch = Callable[[], object]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m testkit", description=__doc__)
    parser.add_argument("command", choices=["fetch"])
    parser.add_argument("names", nargs="*", metavar="server", help="a kind or kind:version; default: all")
    arguments = parser.parse_args()
    chosen = {name: fetch for name, fetch in _fetches().items() if _chosen(name, arguments.names)}
    if not chosen:
        parser.error(f"no such server; there are {', '.join(_fetches())}")
    with ThreadPoolExecutor(len(chosen)) as pool:
        return max(pool.map(_report, chosen.items()))


def _chosen(name: str, wanted: list[str]) -> bool:
    return not wanted or name in wanted or name.partition(":")[0] in wanted


def _fetches() -> dict[str, Fetch]:
    """Return what there is to fetch; the slowest first."""
    programs = {package: program for program, package in debian.PACKAGES.items()}
    debians = {package: partial(debian.program, program) for package, program in programs.items()}
    first: dict[str, Fetch] = {"minio": minio.fetch, "alertmanager": prometheus.alertmanager_programs, **debians}
    return (
        first
        | {f"neo4j:{version}": partial(_neo4j, version) for version in neo4j_programs.VERSIONS}
        | {f"postgres:{version}": partial(postgres.prepared_data, version) for version in postgres_programs.VERSIONS}
        | {"pgvector": pgvector.fetch}
    )


def _neo4j(version: str) -> None:
    neo4j_programs.jars(version)
    neo4j_programs.java(version)
    neo4j.archive_classes(version)


def _report(named: tuple[str, Fetch]) -> int:
    """Fetch one server, print the outcome and return the exit status."""
    name, fetch = named
    begin = time.perf_counter()
    try:
        fetch()
    except Unavailable as reason:
        _print(f"{name}: unavailable: {reason}")
        return 1
    _print(f"{name}: ready after {time.perf_counter() - begin:.1f} s")
    return 0


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
