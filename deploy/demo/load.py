"""Load on PostgreSQL, as of a shop: some 150 transactions a second of several kinds, and some bad habits."""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg

from testkit.postgres import Postgres

ROLE = """
CREATE ROLE shop LOGIN PASSWORD 'shop-secret';
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO shop;
"""
CLIENTS = 6
CLIENT_RATE = 25.0  # transactions a second
PROBLEMS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

Action = Callable[[asyncpg.Connection], Awaitable[object]]


async def shop(primary: Postgres, replica: Postgres) -> None:
    """Put load on both servers until cancelled; connect again every second when one is down."""
    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(_client(primary, WRITES, CLIENT_RATE), name=f"client {number}")
        group.create_task(_client(replica, READS, CLIENT_RATE), name="reader of the replica")
        for action, seconds in HABITS:
            group.create_task(_habit(primary, action, seconds), name=action.__name__)


async def _client(server: Postgres, actions: dict[Action, int], rate: float) -> None:
    """Run transactions on one connection, at a rate that rises and falls within a minute."""
    while True:
        try:
            async with _connected(server) as database:
                while True:
                    [action] = random.choices(list(actions), list(actions.values()))
                    await action(database)
                    wave = 1 + 0.5 * math.sin(time.monotonic() * math.tau / 60)
                    await asyncio.sleep(random.expovariate(rate * wave))
        except PROBLEMS:
            await asyncio.sleep(1)


async def _habit(server: Postgres, action: Action, seconds: float) -> None:
    """Run an action on a new connection about every `seconds`."""
    while True:
        await asyncio.sleep(seconds * random.uniform(0.7, 1.3))
        try:
            async with _connected(server) as database:
                await action(database)
        except PROBLEMS:
            continue


@asynccontextmanager
async def _connected(server: Postgres) -> AsyncIterator[asyncpg.Connection]:
    database = await asyncpg.connect(
        host="127.0.0.1", port=server.port, user="shop", password="shop-secret", database="app", ssl=False,
        timeout=5, server_settings={"application_name": "shop"},
    )  # fmt: skip
    try:
        yield database
        await database.close(timeout=5)
    finally:
        database.terminate()


async def read_customer(database: asyncpg.Connection) -> None:
    await database.fetchrow("SELECT name, email FROM customers WHERE id = $1", random.randint(1, 500))


async def read_product(database: asyncpg.Connection) -> None:
    await database.fetchrow("SELECT title, price FROM products WHERE sku = $1", f"SKU-{random.randint(1, 100)}")


async def read_orders(database: asyncpg.Connection) -> None:
    await database.fetch(
        """
        SELECT o.id, o.status, sum(i.quantity * p.price) AS total
        FROM orders AS o JOIN order_items AS i ON i.order_id = o.id JOIN products AS p ON p.id = i.product_id
        WHERE o.customer_id = $1 GROUP BY o.id ORDER BY o.placed_at DESC LIMIT 10
        """,
        random.randint(1, 500),
    )


async def place_order(database: asyncpg.Connection) -> None:
    async with database.transaction():
        order = await database.fetchval(
            "INSERT INTO orders (customer_id) VALUES ($1) RETURNING id", random.randint(1, 500)
        )
        for product in random.sample(range(1, 101), random.randint(1, 3)):
            await database.execute("INSERT INTO order_items VALUES ($1, $2, $3)", order, product, 1)
        await database.execute(
            "INSERT INTO events VALUES (now(), 'order', jsonb_build_object('order', $1::bigint))", order
        )


async def ship_order(database: asyncpg.Connection) -> None:
    await database.execute(
        """
        UPDATE orders SET status = 'shipped' WHERE id = (
            SELECT id FROM orders WHERE status = 'new' ORDER BY placed_at LIMIT 1 FOR UPDATE SKIP LOCKED
        )
        """
    )


async def register_twice(database: asyncpg.Connection) -> None:
    """Take an e-mail address that is taken: a rollback."""
    try:
        await database.execute("INSERT INTO customers (email, name) VALUES ('customer1@example.com', 'Again')")
    except asyncpg.UniqueViolationError:
        return


async def report(database: asyncpg.Connection) -> None:
    """Be slow without being heavy."""
    await database.fetch(
        "SELECT status, count(*), max(placed_at), pg_sleep(1.5) FROM orders GROUP BY status ORDER BY status"
    )


async def forget_transaction(database: asyncpg.Connection) -> None:
    """Keep a transaction open while doing something else."""
    async with database.transaction():
        await database.execute("UPDATE products SET price = price WHERE id = $1", random.randint(1, 100))
        await asyncio.sleep(random.uniform(4, 12))


async def archive(database: asyncpg.Connection) -> None:
    """Delete what the demo itself wrote ten minutes ago, so that it may run for days."""
    old = "> '2026-01-01' AND {0} < now() - interval '10 minutes'"
    await database.execute(f"DELETE FROM orders WHERE placed_at {old.format('placed_at')}")
    await database.execute(f"DELETE FROM events WHERE happened_at {old.format('happened_at')}")


READS: dict[Action, int] = {read_customer: 5, read_product: 4, read_orders: 1}
WRITES: dict[Action, int] = READS | {place_order: 2, ship_order: 2} | {register_twice: 1}
HABITS: tuple[tuple[Action, float], ...] = ((report, 12), (forget_transaction, 25), (archive, 30))
