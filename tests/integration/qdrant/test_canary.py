"""A user's own searches and counts in a Qdrant collection: their metrics, and their errors."""

import subprocess
import sys
from pathlib import Path

import pytest

from exporter.datastores import open_datastore
from exporter.errors import ConfigError
from testkit.qdrant import Qdrant
from tests.support.collect import collect, collect_from, target_of
from tests.support.qdrant_admin import Admin
from tests.support.queries import load_query

pytestmark = pytest.mark.servers("qdrant")

OWN = ["search", "search_even", "count_even"]


@pytest.fixture
def canaries(tmp_path: Path, collection: str) -> tuple[Path]:
    """Write the query files of a user who searches and counts in a collection of theirs."""
    folder = tmp_path / "qdrant"
    folder.mkdir()
    (folder / "search.yaml").write_text(
        f"operation: search\nparams: {{collection: {collection}, limit: 3}}\ntiming: true\n"
        "metrics:\n"
        '  my_hits: {type: gauge, help: "Hits.", value: hits}\n'
        '  my_search_seconds: {type: gauge, help: "Time on the server.", value: server_seconds}\n'
    )
    (folder / "search_even.yaml").write_text(
        f"operation: search\ntiming: true\nparams:\n  collection: {collection}\n  vector: [1, 0, 0, 0]\n  exact: true\n"
        "  hnsw_ef: 64\n  filter: {must: [{key: parity, match: {value: even}}]}\n"
        'metrics: {my_even_hits: {type: gauge, help: "Hits.", value: hits}}\n'
    )
    (folder / "count_even.yaml").write_text(
        f"operation: count\nparams:\n  collection: {collection}\n  exact: true\n"
        "  filter: {must: [{key: parity, match: {value: even}}]}\n"
        'metrics: {my_even_points: {type: gauge, help: "Points.", value: points}}\n'
    )
    return (tmp_path,)


async def test_users_canaries_search_and_count(
    qdrant: Qdrant, collection: str, qdrant_admin: Admin, canaries: tuple[Path]
) -> None:
    """A search by stored points and one by a vector with a filter both hit; a count counts."""
    qdrant_admin.upsert(collection, range(12))
    found = await collect(qdrant.target("q"), OWN, canaries)

    assert found.failures == {}
    assert found.value("my_hits") == 3
    assert found.value("my_even_hits") == 6
    assert found.value("my_even_points") == 6
    assert (found.value("my_search_seconds") or 0) > 0


async def test_canary_outlives_its_points(
    qdrant: Qdrant, collection: str, qdrant_admin: Admin, canaries: tuple[Path]
) -> None:
    """Sampled points that were deleted fail one search; the next takes others."""
    qdrant_admin.upsert(collection, range(12))
    async with open_datastore(target_of(qdrant.target("q"))) as datastore:
        await collect_from(datastore, "qdrant", OWN, canaries)
        qdrant_admin.delete(collection, range(12))
        qdrant_admin.upsert(collection, range(100, 105))
        second = await collect_from(datastore, "qdrant", OWN, canaries)
        third = await collect_from(datastore, "qdrant", OWN, canaries)

    assert "search" in second.failures
    assert third.failures == {}
    assert third.value("my_hits") == 3


async def test_canary_without_points_fails(
    qdrant: Qdrant, collection: str, qdrant_admin: Admin, canaries: tuple[Path]
) -> None:
    """An empty collection has no point to search with, and one that is gone is an error."""
    empty = await collect(qdrant.target("q"), OWN, canaries)
    qdrant_admin.drop(collection)
    gone = await collect(qdrant.target("q"), OWN, canaries)

    assert "holds no point" in empty.failures["search"]
    assert empty.value("my_even_points") == 0
    assert {failure.partition(":")[0] for failure in gone.failures.values()} == {"query"}
    assert set(gone.failures) == set(OWN)


@pytest.mark.parametrize("wrong", ["filter: {most: []}", "filter: {must: [{key: 1}]}", "vector: []", "limit: 0"])
def test_wrong_search_is_rejected_at_start_up(tmp_path: Path, wrong: str) -> None:
    """A search that Qdrant would reject at every poll is one error at start-up, with the file."""
    file = tmp_path / "search.yaml"
    file.write_text(f"operation: search\ntiming: true\nparams: {{collection: docs, {wrong}}}\n")

    with pytest.raises(ConfigError, match=str(file)):
        load_query(file, "qdrant")


def test_client_is_imported_for_canaries_alone() -> None:
    """Qdrant's own client costs 75 MiB: monitoring does without, and loading query files without HTTP too."""
    code = (
        "import sys; from exporter.settings import read_queries; read_queries(['qdrant']);"
        "assert 'httpx' not in sys.modules; import exporter.datastores.qdrant.datastore;"
        "assert not [m for m in sys.modules if m.startswith(('qdrant_client', 'grpc', 'numpy'))]"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
