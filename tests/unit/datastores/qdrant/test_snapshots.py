"""Snapshots as facts, and as sets under a policy."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from exporter.config.stores import STORES
from exporter.config.stores.qdrant import QdrantTarget, SnapshotPolicy
from exporter.datastores.qdrant import snapshots
from exporter.datastores.qdrant.collections import Collection, Shard
from exporter.datastores.qdrant.operations import OPERATIONS
from exporter.datastores.qdrant.session import collection_path
from exporter.datastores.qdrant.snapshots import ObservedSnapshots, SnapshotSets
from exporter.errors import QueryError
from exporter.queries.query import Row
from exporter.settings import read_queries

DAY = 86400.0


class Listed:
    """Answer with what is listed at each path; errors are raised."""

    def __init__(self, answers: Mapping[str, object]) -> None:
        self.answers = dict(answers)
        self.target = QdrantTarget.model_validate({"store": "qdrant", "name": "search", "url": "http://q:6333"})

    async def json(self, path: str) -> object:
        answer = self.answers.get(path, QueryError("query", f"{path} answered 404"))
        if isinstance(answer, Exception):
            raise answer
        if answer is asyncio.sleep:
            await asyncio.sleep(60)
        return answer


def policy(**keys: object) -> SnapshotPolicy:
    return SnapshotPolicy.model_validate({"every": "1d", **keys})


def collection(name: str, *, here: bool = True) -> Collection:
    return Collection(name, {}, [Shard("0", "1", {"status": "green"} if here else {}, {})], 1)


def snapshot(age: float, size: object = 7, **keys: object) -> dict[str, object]:
    made = datetime.fromtimestamp(time.time() - age, UTC)
    return {
        "name": f"docs-1-{made:%Y-%m-%d-%H-%M-%S}.snapshot",
        "creation_time": f"{made:%Y-%m-%dT%H:%M:%S}",
        "size": size,
        **keys,
    }


async def observed(listed: Listed, names: Sequence[str], sets: SnapshotSets) -> ObservedSnapshots:
    return await sets.observe(listed.json, [collection(name) for name in names])


async def rows_of(answers: Mapping[str, object], names: Sequence[str], **keys: object) -> dict[object, Row]:
    found = await observed(Listed(answers), names, SnapshotSets("search", policy(**keys)))
    return {row["check"]: row for row in snapshots.set_rows(found)}


async def test_fact_rows_tell_number_newest_and_oldest() -> None:
    """Of no snapshot the number is 0 and there is no date; a collection that is gone is left out."""
    new = {"name": "docs-1-2026-11-21-02-43-55.snapshot", "creation_time": "2026-11-21T02:43:55", "size": 7}
    old = {"name": "docs-1-2026-11-20-02-43-55.snapshot", "creation_time": None, "size": 5}
    session: Any = Listed({"/collections/docs/snapshots": [new, old], "/snapshots": []})

    rows = await snapshots.fact_rows(session, ["docs", "gone"])

    dates = {"newest": 1795229035.0, "newest_bytes": 7.0, "oldest": 1795142635.0}
    assert rows == [
        {"check": "snapshot:docs", "of": "search", "snapshots": 2.0, **dates},
        {"check": "storage_snapshot", "of": "search", "snapshots": 0.0, **dict.fromkeys(dates)},
    ]


async def test_fact_rows_leave_to_the_sets_what_a_policy_covers() -> None:
    session: Any = Listed({"/collections/other/snapshots": [], "/snapshots": []})
    session.target = session.target.model_copy(update={"snapshots": policy(collections=["docs*"])})
    some = await snapshots.fact_rows(session, ["docs", "docs2", "other"])
    session.target = session.target.model_copy(update={"snapshots": policy(collections=["*", "storage_snapshot"])})
    none = await snapshots.fact_rows(session, ["docs", "docs2", "other"])

    assert [row["check"] for row in some] == ["snapshot:other", "storage_snapshot"]
    assert none == []


async def test_set_rows_judge_each_collection_by_itself() -> None:
    rows = await rows_of(
        {
            "/collections/good/snapshots": [snapshot(3600), snapshot(DAY)],
            "/collections/late/snapshots": [snapshot(1.5 * DAY)],
            "/collections/lost/snapshots": [snapshot(3 * DAY)],
            "/collections/none/snapshots": [],
        },
        ["good", "late", "lost", "none"],
    )

    assert {check: row["status"] for check, row in rows.items()} == {
        "snapshot:good": "pass", "snapshot:late": "warn", "snapshot:lost": "fail", "snapshot:none": "fail",
    }  # fmt: skip
    good = rows["snapshot:good"]
    assert {key: good[key] for key in ("of", "expected", "readable", "backups", "bytes", "newest_bytes")} == {
        "of": "search", "expected": 1.0, "readable": 1.0, "backups": 2.0, "bytes": 14.0, "newest_bytes": 7.0,
    }  # fmt: skip
    assert good["interval"] == policy().warn_seconds


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        (snapshot(10, size=0), "empty"),
        (snapshot(-2 * DAY), "clock"),
        (snapshot(10, size=None), "unreadable"),
        (snapshot(10, size=float("nan")), "unreadable"),
        (snapshot(10, name="x", creation_time=None), "unreadable"),
        (snapshot(10, name=7, creation_time=["?"]), "unreadable"),
        (snapshot(10, size=3), "too_small"),
    ],
)
async def test_a_snapshot_that_cannot_be_good_is_rejected(listed: dict[str, object], reason: str) -> None:
    listing = Listed({"/collections/docs/snapshots": [listed, snapshot(DAY)]})
    found = await observed(listing, ["docs"], SnapshotSets("search", policy(size={"min": 5})))

    rejected = {row["reason"]: row["rejected"] for row in snapshots.rejected_rows(found)}
    assert {key for key, count in rejected.items() if count} == {reason}
    assert snapshots.set_rows(found)[0]["backups"] == 1.0


async def test_retention_is_that_of_the_policy() -> None:
    listing = Listed({"/collections/docs/snapshots": [snapshot(0), snapshot(DAY), snapshot(3 * DAY)]})
    found = await observed(listing, ["docs"], SnapshotSets("search", policy(keep={"daily": 4})))

    [row] = snapshots.retention_rows(found)
    assert (row["tier"], row["expected"], row["retained"]) == ("daily", 4.0, 3.0)
    assert snapshots.format_rows(found) == [{"check": "snapshot:docs", "of": "search", "format": "qdrant"}]


async def test_a_collection_that_is_new_has_the_time_of_one_snapshot() -> None:
    """Nobody tells how old a collection is: one that was there at the first look is expected to have a snapshot."""
    sets = SnapshotSets("search", policy())
    listing = Listed({f"/collections/{name}/snapshots": [] for name in ("old", "new")})
    await observed(listing, ["old"], sets)

    rows = {row["check"]: row for row in snapshots.set_rows(await observed(listing, ["old", "new"], sets))}
    listing.answers["/collections/new/snapshots"] = [snapshot(2 * DAY, size=0)]
    broken = {row["check"]: row for row in snapshots.set_rows(await observed(listing, ["old", "new"], sets))}

    assert (rows["snapshot:old"]["status"], rows["snapshot:old"]["expected"]) == ("fail", 1.0)
    assert (rows["snapshot:new"]["status"], rows["snapshot:new"]["expected"]) == ("pass", 0.0)
    assert rows["snapshot:new"]["findings"] == ("a new collection: expected in 1 d 2 h",)
    assert broken["snapshot:new"]["status"] == "fail"


@pytest.mark.parametrize(
    ("failure", "readable", "backups"),
    [
        (QueryError("connect", "gone"), 0.0, 1.0),
        (TimeoutError(), 0.0, 1.0),
        (QueryError("privilege", "no"), 0.0, None),
        (QueryError("query", "500"), 0.0, None),
    ],
)
async def test_a_list_that_cannot_be_read_keeps_only_what_is_still_right(
    failure: Exception, readable: float, backups: float | None
) -> None:
    sets = SnapshotSets("search", policy())
    listing = Listed({f"/collections/{name}/snapshots": [snapshot(60)] for name in ("docs", "other")})
    await observed(listing, ["docs", "other"], sets)
    listing.answers["/collections/docs/snapshots"] = failure

    rows = {row["check"]: row for row in snapshots.set_rows(await observed(listing, ["docs", "other"], sets))}

    docs, other = rows["snapshot:docs"], rows["snapshot:other"]
    assert (docs["readable"], docs["backups"], docs["status"]) == (readable, backups, "warn")
    assert (other["readable"], other["backups"], other["status"]) == (1.0, 1.0, "pass")


async def test_a_list_that_hangs_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "_PAGE_SECONDS", 0.05)
    rows = await rows_of(
        {"/collections/docs/snapshots": asyncio.sleep, "/collections/other/snapshots": [snapshot(60)]},
        ["docs", "other"],
    )

    assert {check: row["status"] for check, row in rows.items()} == {"snapshot:docs": "warn", "snapshot:other": "pass"}


async def test_the_whole_storage_is_expected_where_it_is_named() -> None:
    answers: dict[str, object] = {"/snapshots": [snapshot(60)], "/collections/docs/snapshots": []}

    assert set(await rows_of(answers, ["docs"])) == {"snapshot:docs"}
    assert set(await rows_of(answers, ["docs"], collections=["storage_snapshot"])) == {"storage_snapshot"}


async def test_a_collection_without_shards_here_is_left_to_its_peers() -> None:
    sets = SnapshotSets("search", policy())

    assert (await sets.observe(Listed({}).json, [collection("far", here=False)])).sets == []


async def test_more_collections_than_have_checks_are_refused() -> None:
    with pytest.raises(QueryError, match="more than 200 collections") as caught:
        await rows_of({}, [f"c{number}" for number in range(201)])

    assert caught.value.reason == "limit"
    with pytest.raises(QueryError, match="more than 200 collections"):
        await rows_of({}, [f"c{number}" for number in range(200)], collections=["c*", "storage_snapshot"])


@pytest.mark.parametrize("name", ["snapshot_sets", "snapshot_rejected", "snapshot_retention", "snapshot_formats"])
async def test_as_many_collections_as_there_can_be_fit_into_each_query(name: str) -> None:
    """A query with more series than it may have serves none."""
    [query] = [query for query in read_queries(STORES) if (query.store, query.name) == ("qdrant", name)]
    names = [f"c{number}" for number in range(200)]
    listing = Listed({f"/collections/{name}/snapshots": [snapshot(60)] for name in names})
    keep = {"daily": 7, "weekly": 4, "monthly": 12, "yearly": 7}
    page = await observed(listing, names, SnapshotSets("search", policy(keep=keep)))

    families = query.samples(OPERATIONS[name].rows(page))

    assert sum(len(family.values) for family in families) >= len(names)


@pytest.mark.parametrize("name", ["x" * 255, "line\nbreak", "\u202eright"])
async def test_a_name_of_a_collection_that_is_no_name_of_a_check_becomes_one(name: str) -> None:
    path = collection_path(name, "snapshots")
    [check] = await rows_of({path: [snapshot(60)]}, [name])

    assert str(check).isprintable()
    assert len(str(check)) <= 200
