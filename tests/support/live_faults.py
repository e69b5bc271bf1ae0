"""Faults that are caused for real on the live stage, each with the alerts it must raise, and mended again."""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import asyncpg
import psycopg
import yaml
from neo4j import AsyncGraphDatabase

from testkit.postgres import Postgres
from tests.support.background import meanwhile
from tests.support.live_backups import spoiled
from tests.support.live_environment import Stage
from tests.support.minio_admin import break_drive

Firing = tuple[str, str]  # an alert and its target

RAISED: Mapping[str, set[Firing]] = {
    "many sessions behind one lock": {("PostgresManySessionsBlocked", "shop-1"), ("PostgresConnectionsHigh", "shop-1")},
    "archiving fails": {("PostgresWalArchiveFailing", "shop-1")},
    "replay paused": {("PostgresReplayPaused", "shop-2")},
    "a slot that nobody reads": {("PostgresSlotInactive", "shop-1")},
    "a standby that commits must wait for": {("PostgresSyncStandbyLost", "shop-1")},
    "pool paused": {("PgbouncerPaused", "pool"), ("PgbouncerClientsWait", "pool")},
    "graph transactions blocked": {("Neo4jTransactionsBlocked", "graph")},
    "drive gone": {("MinioDriveOffline", "objects")},
    "collection broken": {
        ("QdrantCollectionBroken", "search"),
        ("QdrantOptimizerFailing", "search"),
        ("QdrantClusterWithoutLeader", "search"),
        ("DataTierCheckFailing", "search"),
    },
    "backups spoiled": {
        ("DataTierBackupBroken", "nas"),
        ("DataTierWalGap", "nas"),
        ("DataTierRestoreTestFailed", "nas"),
    },
    "configuration broken": {("DataTierConfigReloadFailed", "")},
}
_FILLING = 4 << 30  # bytes
_HELD = 31  # of the 47 connections of those who are no superusers
AFTERWARDS: set[Firing] = {("DataTierTargetDown", "graph"), ("DataTierTargetDown", "pool")}  # their servers end


@contextmanager
def caused(stage: Stage) -> Iterator[None]:
    """Cause all faults but the ends of servers; mend them on the way out."""
    with ExitStack() as faults:
        for fault in (
            _archiving,
            _replay,
            _slot,
            _standby,
            _paused,
            _graph,
            _drive,
            _filling,
            _collection,
            _backups,
            _configuration,
            _blocked,  # the last to begin, so the first to be mended: it leaves the server few connections
        ):
            faults.enter_context(fault(stage))
        yield


@contextmanager
def _blocked(stage: Stage) -> Iterator[None]:
    stage.primary.psql("GRANT SELECT, DELETE ON bulky TO shop", "app")
    with meanwhile(_hold_and_queue(stage.primary)):
        yield


async def _hold_and_queue(server: Postgres) -> None:
    """Hold a table, and let 30 sessions wait for it.

    With the exporter's, the pool's and the shop's they are over 80 % of the connections, yet all of them find one. None
    is a superuser's, so those reserved for these stay free for an administrator.
    """
    login = {"host": "127.0.0.1", "port": server.port, "user": "shop", "password": "shop-secret", "database": "app"}
    holder, *waiters = [await asyncpg.connect(**login, ssl=False, timeout=10) for _ in range(_HELD)]
    try:
        await holder.execute("BEGIN; LOCK TABLE bulky")
        await asyncio.gather(*(waiter.fetch("SELECT count(*) FROM bulky") for waiter in waiters))
    finally:
        for connection in (holder, *waiters):
            connection.terminate()


@contextmanager
def _archiving(stage: Stage) -> Iterator[None]:
    _set(stage, "archive_command", "false")
    stage.primary.psql("SELECT pg_switch_wal()")
    yield
    stage.primary.psql("ALTER SYSTEM RESET archive_command")
    stage.primary.psql("SELECT pg_reload_conf()")
    stage.primary.psql("SELECT pg_switch_wal()")


@contextmanager
def _backups(stage: Stage) -> Iterator[None]:
    with spoiled(stage.primary.folder):
        yield


@contextmanager
def _replay(stage: Stage) -> Iterator[None]:
    stage.replica.psql("SELECT pg_wal_replay_pause()")
    yield
    stage.replica.psql("SELECT pg_wal_replay_resume()")


@contextmanager
def _slot(stage: Stage) -> Iterator[None]:
    """Leave the slots of prepared.sql as they are, and drop them in the end."""
    yield
    stage.primary.psql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")


@contextmanager
def _standby(stage: Stage) -> Iterator[None]:
    _set(stage, "synchronous_standby_names", "nobody")
    yield
    _set(stage, "synchronous_standby_names", "")


def _set(stage: Stage, name: str, value: str) -> None:
    stage.primary.psql(f"ALTER SYSTEM SET {name} = '{value}'")
    stage.primary.psql("SELECT pg_reload_conf()")


@contextmanager
def _paused(stage: Stage) -> Iterator[None]:
    """Pause a database of the pool; who asks through it waits."""
    with meanwhile(_command(stage.pool.dsn(), "PAUSE app")):
        yield
    asyncio.run(_command(stage.pool.dsn(), "RESUME app"))


async def _command(dsn: str, text: str) -> None:
    # asyncpg cannot talk to this console
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    async with connection:
        await connection.execute(text)


@contextmanager
def _graph(stage: Stage) -> Iterator[None]:
    with meanwhile(_block_each_other(stage)):
        yield


async def _block_each_other(stage: Stage) -> None:
    """Change a node that is there in a transaction that stays open, and let another one wait for it."""
    server = stage.graph
    server.run("MERGE (:Held {id: 1})")
    change = "MATCH (n:Held {id: 1}) SET n.at = timestamp()"
    async with (
        AsyncGraphDatabase.driver(server.url, auth=(server.user, server.password)) as driver,
        driver.session() as first,
        driver.session() as second,
    ):
        transaction = await first.begin_transaction()
        await transaction.run(change)
        waiter = await second.begin_transaction()
        await waiter.run(change)
        await asyncio.Event().wait()


@contextmanager
def _drive(stage: Stage) -> Iterator[None]:
    break_drive(stage.objects, 4)
    yield
    (stage.objects.folder / "drive4").unlink()
    stage.objects.restart()


@contextmanager
def _filling(stage: Stage) -> Iterator[None]:
    """Take space on the drives' disk, more than other tests may free meanwhile: when it is full can be reckoned."""
    folder = stage.objects.folder
    file = folder / "filling"
    with file.open("wb") as filling:
        os.posix_fallocate(filling.fileno(), 0, min(_FILLING, shutil.disk_usage(folder).free // 4))
    yield
    file.unlink()


@contextmanager
def _collection(stage: Stage) -> Iterator[None]:
    stage.search.scene(
        peers=3,
        dead=[1, 2],
        has_leader=False,
        status={"products": "red"},
        optimizer_error={"products": "no space left"},
    )
    yield
    stage.search.scene(peers=3)


@contextmanager
def _configuration(stage: Stage) -> Iterator[None]:
    good = stage.exporter.config.read_text()
    stage.exporter.config.write_text(yaml.safe_dump({**yaml.safe_load(good), "tragets": []}))
    os.kill(stage.exporter.pid, signal.SIGHUP)
    yield
    stage.exporter.config.write_text(good)
    os.kill(stage.exporter.pid, signal.SIGHUP)
