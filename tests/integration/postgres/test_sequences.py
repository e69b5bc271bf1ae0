"""Sequences near their end, by the column they fill; and those that the role may not read."""

from collections.abc import Iterator

import pytest

from testkit.machine import CommandError
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.postgres_polls import client
from tests.support.postgres_scratch import Seen, scratch

GRANT = "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO monitor;"


@pytest.fixture(scope="module", params=["14", "18"])
def server(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    with servers.private_postgres(request.param) as server:
        yield server


def used(seen: Seen, sequence: str) -> float | None:
    return seen.value("pg_sequence_used_ratio", schemaname="public", sequencename=sequence)


@pytest.mark.parametrize(
    "table",
    [
        "CREATE SEQUENCE numbers; CREATE TABLE rows (id int DEFAULT nextval('numbers'));",
        "CREATE TABLE rows (id int); CREATE SEQUENCE numbers OWNED BY rows.id;",
        "CREATE TABLE rows (id int GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME numbers));",
        "CREATE DOMAIN key AS int; CREATE SEQUENCE numbers; CREATE TABLE rows (id key DEFAULT nextval('numbers'));",
    ],
)
async def test_a_sequence_ends_where_its_column_does(server: Postgres, table: str) -> None:
    async with scratch(server, table + GRANT) as database:
        database.psql("SELECT setval('numbers', 2000000000)")
        warned = await database.poll("sequences")
        database.psql("SELECT setval('numbers', 2100000000)")
        failed = await database.poll("sequences")

    assert used(warned, "numbers") == pytest.approx(0.9313, abs=1e-4)
    assert warned.collected.statuses == {"sequences": "warn"}
    assert warned.names == ("public.numbers",)
    assert failed.collected.statuses == {"sequences": "fail"}


async def test_a_sequence_ends_at_its_own_maximum_in_either_direction(server: Postgres) -> None:
    setup = """
    CREATE SEQUENCE up MAXVALUE 1000; SELECT setval('up', 501);
    CREATE SEQUENCE down INCREMENT -1 MINVALUE -1000; SELECT setval('down', -901);
    CREATE SEQUENCE round_and_round MAXVALUE 10 CYCLE; SELECT setval('round_and_round', 10);
    CREATE SEQUENCE untouched;
    CREATE TABLE wide (id bigserial); SELECT setval('wide_id_seq', 2000000000);
    """
    async with scratch(server, setup + GRANT) as database:
        seen = await database.poll("sequences")

    assert used(seen, "up") == pytest.approx(500 / 999)
    assert used(seen, "down") == pytest.approx(900 / 999)
    assert used(seen, "round_and_round") is None
    assert used(seen, "untouched") == 0
    assert used(seen, "wide_id_seq") == pytest.approx(0, abs=1e-6)


async def test_only_the_twenty_nearest_to_their_end_are_shown(server: Postgres) -> None:
    setup = "".join(f"CREATE SEQUENCE s{n} MAXVALUE 101; SELECT setval('s{n}', {n});" for n in range(1, 31))
    async with scratch(server, setup + GRANT) as database:
        seen = await database.poll("sequences")

    assert seen.collected.series["sequences"] == 20
    assert (used(seen, "s30"), used(seen, "s11"), used(seen, "s10")) == (0.29, 0.1, None)


async def test_a_sequence_that_may_not_be_read_is_counted_not_called_unused(server: Postgres) -> None:
    setup = "CREATE TABLE rows (id serial, other serial); SELECT setval('rows_id_seq', 2000000000)"
    async with scratch(server, setup) as database:
        refused = await database.poll("sequences")
        counted = await database.poll("sequences_unreadable")
        database.psql("GRANT SELECT ON rows_id_seq TO monitor")
        read = await database.poll("sequences")
        left = await database.poll("sequences_unreadable")

    assert refused.collected.samples["pg_sequence_used_ratio"] == {}
    assert refused.collected.statuses == {}
    assert counted.value("pg_sequences_unreadable") == 2
    assert counted.names == ("public.rows_id_seq", "public.rows_other_seq")
    assert used(read, "rows_id_seq") == pytest.approx(0.9313, abs=1e-4)
    assert left.names == ("public.rows_other_seq",)


async def test_pg_read_all_data_reads_them_all(servers: Servers) -> None:
    with servers.private_postgres("14") as server:
        async with scratch(server, "CREATE TABLE rows (id serial)") as database:
            server.psql("GRANT pg_read_all_data TO monitor")
            seen = await database.poll("sequences")
            unreadable = await database.poll("sequences_unreadable")

    assert used(seen, "rows_id_seq") == 0
    assert unreadable.value("pg_sequences_unreadable") == 0


@pytest.mark.parametrize("change", ["ALTER SEQUENCE one MAXVALUE 50", "DROP SEQUENCE one"])
async def test_a_sequence_being_changed_costs_only_itself(server: Postgres, change: str) -> None:
    async with scratch(server, "CREATE SEQUENCE one; CREATE SEQUENCE two;" + GRANT) as database:
        async with client(server, database.name) as holder:
            await holder.execute(f"BEGIN; {change}")
            during = await database.poll("sequences")
            await holder.execute("ROLLBACK")
        after = await database.poll("sequences")

    assert (used(during, "one"), used(during, "two")) == (None, 0)
    assert (used(after, "one"), used(after, "two")) == (0, 0)


async def test_more_sequences_are_read_than_the_server_can_lock_at_once(servers: Servers) -> None:
    setup = "".join(f"CREATE SEQUENCE s{n} MAXVALUE 3000 START {n};" for n in range(1, 2001))
    with servers.private_postgres("18", {"max_locks_per_transaction": "10"}) as server:
        async with scratch(server, setup + "GRANT pg_read_all_data TO monitor") as database:
            with pytest.raises(CommandError, match="out of shared memory"):
                database.psql("SELECT count(pg_sequence_last_value(seqrelid)) FROM pg_sequence")
            seen = await database.poll("sequences")

    assert seen.collected.series["sequences"] == 20
    assert used(seen, "s2000") == pytest.approx(1999 / 2999)
