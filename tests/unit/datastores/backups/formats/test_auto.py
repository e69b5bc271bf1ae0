"""Files of any format: what each is taken for, and which are believed."""

import asyncio
import time
from typing import Any

import pytest

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backups.formats import auto
from exporter.datastores.backups.look import Memory, UnfinishedError, Verdict, VerdictKey
from tests.support.counted_place import NOW, CountedPlace, look_at
from tests.support.cuts import passing, told
from tests.support.pg_dump_archive import archive

KEY = b"\\restrict KeyOfThisDump\n"
PLAIN = b"--\n-- PostgreSQL database dump\n--\n\n" + KEY + b"SELECT 1;\n" * 900
END = b"--\n-- PostgreSQL database dump complete\n--\n\n"
CLUSTER = PLAIN.replace(b"database dump", b"database cluster dump") + END
GOOD = archive([b"x" * 100]).data


async def look(place: CountedPlace, memory: Memory, **chosen: Any) -> dict[str, Backup]:
    found = await auto.read(look_at(place, "*", memory, **chosen))
    return {backup.name: backup for backup in found.backups}


@pytest.mark.parametrize(
    ("data", "good"),
    [
        (PLAIN + END + b"\\unrestrict KeyOfThisDump\n\n", True),
        (PLAIN + END + b"\\unrestrict KeyOfThis", False),
        (PLAIN + END, False),
        (PLAIN.replace(KEY, b"") + END, True),
        (PLAIN.replace(KEY, b"") + END + bytes(300), False),
        (PLAIN.replace(KEY, b"") + END.replace(b"complete", b"comple"), False),
        (CLUSTER, False),
        (CLUSTER + END.replace(b"database", b"database cluster"), True),
    ],
)
async def test_verify_sql_needs_its_last_comment(data: bytes, *, good: bool) -> None:
    assert (await told(data, "sql")).good is good
    assert (await told(data)).good is good


@pytest.mark.parametrize("chosen", ["auto", "pg_dump", "sql", "neo4j", "qdrant"])
@pytest.mark.parametrize("size", [1, 600, 100_000])
async def test_verify_file_of_zeros_is_no_backup(chosen: str, size: int) -> None:
    assert not (await told(bytes(size), chosen, "x.backup")).good


async def test_read_many_files_leaves_the_event_loop_its_time() -> None:
    place = CountedPlace({f"apex_{10_000_000 + number}.dump": b"x" for number in range(30_000)}, page=10_000)
    memory = Memory(verdicts={VerdictKey(*place.entry(name)): Verdict() for name in place.files})
    longest, done = 0.0, False

    async def measure() -> None:
        nonlocal longest
        while not done:
            began = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - began)

    measuring = asyncio.create_task(measure())
    backups = await look(place, memory)
    done = True
    await measuring

    assert len(backups) == 30_000
    assert longest < 0.3


@pytest.mark.parametrize("chosen", ["pg_dump", "sql", "neo4j", "qdrant"])
async def test_verify_page_of_a_proxy_is_no_backup(chosen: str) -> None:
    problem = (await told(b"<html><h1>502 Bad Gateway</h1></html>" * 100, chosen)).problem

    assert problem is not None
    assert problem.reason == "format"


async def test_verify_unknown_content_counts_by_name_and_size() -> None:
    assert (await told(b"anything")).good
    assert (await told(b"")).problem == ("empty", "0 bytes")


@pytest.mark.parametrize(
    "data",
    [
        b"age-encryption.org/v1\n-> X25519 x\n", b"Salted__12345678", b"\x85\x01\x0c\x03abcdefgh",
        b"\x8c\x0d\x04\x09abcdefgh",
        b"\xc1\xc0\x4c\x03abcdefg", b"\xd2\xff\x00\x00\x01\x00ab",
        b"-----BEGIN PGP MESSAGE-----\n\nx\n-----END PGP MESSAGE-----\n",
    ],
)  # fmt: skip
async def test_verify_encrypted_file_is_good_where_it_must_be_encrypted(data: bytes) -> None:
    assert (await told(data, "pg_dump", encrypted=True)).problem is None


@pytest.mark.parametrize(
    "data", [GOOD, b"\x88\x01\x0c\x03abcdefgh", b"\x85\x01\x0c\x41abcdefgh", b"text that is plain"]
)
async def test_verify_plain_file_is_unencrypted_where_it_must_be(data: bytes) -> None:
    problem = (await told(data, encrypted=True)).problem

    assert problem is not None
    assert problem.reason == "unencrypted"


async def test_verify_file_that_the_server_encrypts_is_looked_into() -> None:
    place = CountedPlace({"a": GOOD, "b": GOOD[:-9]}, encrypted={"a", "b"})

    found = await look(place, Memory(), encrypted=True)

    assert (found["a"].good, found["b"].good) == (True, False)


async def test_verify_encrypted_text_without_its_last_line_is_truncated() -> None:
    data = b"-----BEGIN PGP MESSAGE-----\n\n" + b"x" * 3000 + b"\n-----END PGP MESSAGE-----\n"

    assert await passing(data) == []


async def test_read_reads_each_file_once() -> None:
    place, memory = CountedPlace({"a": GOOD, "b": GOOD[:-9]}), Memory()
    first = await look(place, memory)
    reads = len(place.reads)

    second = await look(place, memory)

    assert (first, reads) == (second, len(place.reads))


async def test_read_forgets_what_is_no_longer_there() -> None:
    place, memory = CountedPlace({"a": GOOD, "b": GOOD}), Memory()
    await look(place, memory)
    del place.files["a"]
    await look(place, memory)

    assert [key.name for key in memory.verdicts] == ["b"]


async def test_read_takes_the_newest_first_and_the_rest_at_later_looks() -> None:
    """Until it is read, an older file counts by its name and size."""
    place = CountedPlace({f"{number:02}": GOOD for number in range(50)} | {"00": GOOD[:-9]})
    place.modified = {name: NOW - 86400.0 * (51 - int(name)) for name in place.files}
    memory = Memory()

    goods = [(await look(place, memory))["00"].good for _ in range(3)]

    assert goods == [True, True, False]
    assert [name for name, start, _ in place.reads if start == 0][:20] == [
        f"{number:02}" for number in range(49, 29, -1)
    ]


async def test_read_believes_no_file_that_was_not_read_while_none_is_good() -> None:
    place = CountedPlace({f"{number:02}": GOOD[:-9] for number in range(50)})
    memory = Memory()
    for _ in range(2):
        with pytest.raises(UnfinishedError):
            await look(place, memory)

    assert not any(backup.good for backup in (await look(place, memory)).values())


async def test_read_young_or_growing_file_is_being_written() -> None:
    """It is neither good nor bad while its end does not show that it is whole."""
    place, memory = CountedPlace({"young": b"PGDMP", "grew": GOOD[:50]}), Memory()
    place.modified["young"] = NOW - 60
    await look(place, memory)
    place.files["grew"] = GOOD[:-9]

    found = await look(place, memory)

    assert all(backup.being_written and not backup.good and backup.problem is None for backup in found.values())


async def test_read_file_that_may_not_be_read_is_unreadable_until_it_may() -> None:
    place, memory = CountedPlace({"a": GOOD}, closed={"a"}), Memory()
    problem = (await look(place, memory))["a"].problem
    place.closed.clear()

    assert problem is not None
    assert problem.reason == "unreadable"
    assert (await look(place, memory))["a"].good


async def test_read_objects_that_a_policy_closes_count_by_name_and_size_until_they_may_be_read() -> None:
    place, memory = CountedPlace({"a": GOOD, "b": b""}, closed={"a", "b"}, reads_all_or_none=True), Memory()
    found = await look(place, memory)
    place.closed.clear()
    place.files["a"] = b"cut".ljust(len(GOOD), b"\0")

    assert (found["a"].good, found["b"].problem) == (True, Problem("empty", "0 bytes"))
    assert not (await look(place, memory, format="pg_dump"))["a"].good


async def test_read_objects_that_a_policy_closes_are_not_taken_for_encrypted() -> None:
    place = CountedPlace({"a": GOOD}, closed={"a"}, reads_all_or_none=True)

    problem = (await look(place, Memory(), encrypted=True))["a"].problem

    assert problem is not None
    assert problem.reason == "unreadable"


async def test_read_future_date_is_a_clock() -> None:
    problem = (await told(GOOD, name="apex_20991130.dump")).problem

    assert problem is not None
    assert problem.reason == "clock"


async def test_read_odd_name_is_shown() -> None:
    assert (await told(GOOD, name="two\nlines\udcff")).name == "two\\nlines\\udcff"


async def test_read_file_that_is_shorter_than_it_was_listed_is_truncated() -> None:
    """It was cut since, or a login page came in its place."""

    class Shortened(CountedPlace):
        async def read(self, name: str, start: int, length: int) -> bytes:
            return (await super().read(name, start, length))[: max(0, 600 - start)]

    [backup] = (await look(Shortened({"a.dump": b"anything" * 1000}), Memory())).values()

    assert backup.problem == ("truncated", "only 600 of 8000 bytes can be read")
